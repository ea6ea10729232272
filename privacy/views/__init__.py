"""The privacy centre: what is held, who looked, what a person asks. Thin doors to services; nothing is decided here.

centre    the public page about data and rights, and who looked
held      what we hold about a person
requests  a person's own requests; `check` the page before an act that cannot be undone
public    the same without a login: by e-mail, one-time link, reference and code
person    whose request a page shows
result    what has become, or would become, of what was asked; `ends` how it ended
words     plain words for codes; `forms` what is typed
"""
