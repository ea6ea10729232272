"""What a person asks of us, from the receipt to the answer (P6–P10, Art. 12, 15, 17).

What must never happen: an erasure nobody confirmed, a confirmed one that is lost or done twice, an answer
that is late without anybody knowing, a letter that goes out twice, a copy that shows somebody else.
The tables are the truth; a Celery message only says "look". A mistake found before the execution is undone
by withdrawing the request; after it there is nothing to undo, which is why a plan is shown and confirmed first.

The rights
    procedures  the table: one entry for each, of the types in `procedure`
    steps       what each step does, the last ones in `closing`; `result` what a step returns
    states      the states and what may follow what
    models      the tables

From asking to the plan
    filing      how a request comes in: a receipt, and what is filed of it; `numbered` whom a number leads to
    asking      what the person is asked or told because of it
    codes       references and outcome codes; `links` one-time links and codes by post; `went_to` where both went
    addresses   what an address proves, which records a request covers, where its answer goes
    proof       what is compared in a call-back or of a code by post
    proving     who is asking is shown, by whatever door; `sight` who may see a request
    services    plan, confirm, withdraw, refuse, resume: one function for every door; `reading` what is only read
    waits       what a proof still needs; `second` the second person; `excess` a refusal for excess
    questions   what was asked of the second person and answered, by the history
    nothing     the answer that nothing is held; `unjoined` what carries an address without being joined
    assessment  from the tables to the pure plan; `plan` what will happen to each record (pure)
    filled      which data a plan, an answer and a letter may name: those that stand in the record
    planned     the plan in the sealed file, and whether the stored decisions are those of it
    login_stays whether a removal leaves the login until something is finished
    offering    the plan told to its person

The clock
    clock       due dates (pure), by `regimes`; `grounds` by which rule a request may be refused (pure)
    deadline    a longer deadline; `recount` all counted anew after a change of the law

Carrying out
    broker      wakes a worker by name, and what fell asleep
    execute     one step at a time, under a lock; `begin` what comes before the first one
    erasure     how a record ends; `ended` when and by what it did
    export      the copy of everything; `archive` writes it, `contents` what stands in it, `copypage` its page
    given_out   what of a copy was begun to be fetched, and fetched; `paper` the copy by post
    tombstones  what the ledger keeps

Answering
    outcome     the stored plan, and what became of it; `shape` the same without personal data, for programs
    answer      left in the outbox, once; `authorities` where to complain
    writing     letters about a request; `posting` what follows when one was posted or came back
    longer      the letter that moves a day

Proof and lists
    history     states and events, the only place that writes them
    bound       whether a row says what the site wrote; `hashed` its history as one hash; `rebound` the rows of earlier
                versions put under its hash
    whose       whose records are, as their rows and the key store agree
    doubt       which requests count where something is sent, ended, given or asked; `missed` what the audit tells of
                one, and its history does not
    in_doubt    which requests somebody has to look at; `contradictions` what speaks against a row
    listing     the requests as a list; `in_words` and `said` how things are said in text
"""
