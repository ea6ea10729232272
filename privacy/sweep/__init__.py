"""What ends by night, without anybody asking (P10, Art. 5(1)(e)).

What must never happen: data end that a rule, a hold or open work still covers, or in a number that nobody would notice
in time. There is no undo. `nightly` says how that is prevented.

    models         who was warned, and where the sweep stands
    arming         whether it may run: armed by a person, by a clock that did not jump, alone
    nightly        the run: what was told, then what the schedule ends, in batches
    report         what a run found and did
    notices        the warning some time before an account ends, and who answers it
    second_letter  what had to stay after a removal has ended now
    logs           the oldest rows of the audit and the access log
"""
