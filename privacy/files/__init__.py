"""Files beside the databases: whose they are, and that they are files.

owner    what lies in STATE_DIR belongs to the user of the services, whoever starts a command
regular  a named file is opened when it is a regular one: no pipe, no device
"""
