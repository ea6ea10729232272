"""People with and without a login: who they are, how they are reached, what of theirs is one person's.

The records
    models          the tables, each in its topic: customers, points, communications, users
    personal_data   what is held and why; `facts` what the fate of a record depends on
    services        customers, addresses, numbers and companies, made and removed; `records` what every writing does
    corrections     data set right, and what follows when that was a contact
    correspondence  messages kept and closed; `activity` on which day somebody was last active

What is typed
    validators      what a value must look like; `phonefield`, `countries`, `regions`, `addresslines` of one kind each
    forms, views    a person's own account

Contacts
    reach           what an address on file proves, and since when it counts
    notices         who is told of a changed contact; `contact_links` the links in those letters
    objections      "this was not me", and how it ends; `in_hand` who of the staff had a contact in hand
    giving_back     a login goes back to its earlier mailbox; `in_other_hands` what came by it meanwhile
    people          what requests ask about people (privacy.people)

Whose records
    names           in which fields a record names a person and carries an address
    candidates      what carries a person's address and is not theirs yet; `claim` what a login proves by its address
    joining         several people or records made one; `joinable` what may be, `moved` what was, `keys_follow` the keys
    told_of_joinings  who is told, and how they object; `looks` the desk's page

Logins
    users, sessions, handles, signup, adapter, backends, middleware    the login, its address, its sessions, its doors
    confirmed, unconfirmed, witnessed, vouching    what the site itself has seen of a login
    factor          the second factor; `factor_secrets` its seal
    logins          made by the program: staff, and the people of a demonstration
    acts, places, pace, hashing    one act beside another, and answers that take the same time

From files
    imports         customers from a file: `csvfile`, `columnmap`, `columnheader`, `spoiled`, `blocked`, `accounted`
    upgrades        what an earlier version left; `country_choice` countries that were none
"""
