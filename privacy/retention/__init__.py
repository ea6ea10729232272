"""How long what is held about people may be held, why, and what happens at the end (P10, Art. 5(1)(e)).

What must never happen: a record kept without a reason that can be named, or ended while one stands. The rules are data;
deciding is a pure function of them; whoever ends something (`requests`, `sweep`) looks again before it does.

    schedule.toml  the law and the company's choices, class by class
    rules          reads and checks it, into reasons (`reasons`)
    gather         from rows to facts (privacy/facts.py)
    assess         facts, rules, holds and the day in; a verdict for each envelope out (`verdict`)
    models         decisions, holds, and what holds kept
    decided        whether a decision is one that the site made
    holds          legal holds: placed and lifted
    in_force       which records are under one, by rows that say what the site wrote, held against the audit
    restriction    what is kept and opens only for what keeps it
    jurisdiction   under whose law a decision is explained
    due            what is said of what is due, whether or not the sweep is armed
    schedule_page  the schedule for people
"""
