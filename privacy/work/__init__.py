"""What long work has in common, whatever it does.

apart        several things in one run, none of them behind another
broken       one record that cannot be handled is a finding, and all others go on
checkpoints  the places at which a test stops and kills a worker
counted      numbers with their nouns, as commands say them
progress     how far it is, for whoever watches a terminal
"""
