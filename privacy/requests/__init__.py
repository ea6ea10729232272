"""What a person asks of us, from the receipt to the answer (P6–P10, Art. 12, 15, 17).

What must never happen: an erasure nobody confirmed, a confirmed one that is lost or done twice, an answer
that is late without anybody knowing, a letter that goes out twice, a copy that shows somebody else.
The tables are the truth; a Celery message only says "look". A mistake found before the execution is undone
by withdrawing the request; after it there is nothing to undo, which is why a plan is shown and confirmed first.

    models     the tables and the one table of allowed states
    services   file, plan, confirm, withdraw, refuse, show: one function for every door (filing: how one comes in)
    identity   who is asking: links, finders, codes
    execute    one step at a time, and steps what each does
    erasure    how a record ends
    outcome    what became of it, and the answer
    excess     a refusal for excess: proposed with evidence, decided by a second person
    history    states and events, the only place that writes them
    assessment from the tables to the pure plan
    export     the copy of everything, and contents what stands in it
    letters    the sealed outbox
    hooks      what the upper apps tell about people
    poller     wakes what fell asleep
    clock      due dates (pure)
    plan       what will happen to each record (pure)
    grounds    by which rule a request may be refused (pure)
"""
