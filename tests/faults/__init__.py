"""What is promised when something breaks (docs/reliability.md, F1 and on): each test breaks it, asserts, reports a
figure."""
