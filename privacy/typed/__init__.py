"""What people type, and what programs read: is it what it should be, and nothing that must not be kept?

cards         no card number, security code, bank account or stray social security number in any text
banks         where bank accounts stand in a text; `folded` a text as these two read it
numberfields  what the numbers of a field are, so that a product's number is not taken for a card
numbers       how a record is asked for by its number without telling the database a name
mailbox       e-mail addresses
phones        telephone numbers, in whatever way they are written
lines         one line stays one line
"""
