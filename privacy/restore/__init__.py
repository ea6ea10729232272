"""What was erased stays erased after a restore (design 8, R5).

The ledger stands three times: in the key store, where it is written with the destruction of each key; copied in the
main database, written once the effect is in its tables; and signed in a file outside both, written once the main
database has the copy. So each place knows no more than the one before, and one that knows *less* than the next was
restored: then nothing is served until `manage.py replay_ledger` has run.

    models        the copy in the main database
    signed        which lines of it this program wrote
    signed_file   the file outside both
    maintenance   the comparison, and maintenance mode
    apply         doing to the main database what a line says
    replay        catching up in daily life, and after a restore
    revived       keys that are alive although a line tells of their end
    installation  which installation the main database belongs to

Must never happen: a restored database served as if nothing had been erased, or a line copied whose effect is missing.
"""
