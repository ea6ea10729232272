"""Whose the record is that people call by a number, for staff and operators who file a request for a person.

What must never happen: a request, with the key of its file, for somebody whom another program wrote into the row of
that record. So the key store is asked whose the record is.
"""

from __future__ import annotations

from uuid import UUID

from privacy import vault
from privacy.requests.proof import BadRequest
from privacy.retention import holds

NOT_FOUND = "No customer, order or return has this number."


def subject_of(number: str) -> UUID:
    """Return whom the record is about that people call `number`: a customer, an order, a return; apps say in the data
    map what that is. Raises BadRequest."""
    try:
        found = holds.find(number)
    except holds.RecordNotFound:
        raise BadRequest(NOT_FOUND) from None
    except holds.ReferenceNotUnique:
        raise BadRequest("More than one record has this number.") from None
    path = found.declaration.subject_path
    rows = found.declaration.model._default_manager.filter(pk=found.record_id)
    row = rows.first()
    if isinstance(row, vault.SealedModel) and vault.keys.strangers({row.pk: row.vault_owner()}):
        raise BadRequest("This record is somebody else's than its row says: tell who runs the site.")
    subject = rows.values_list(path, flat=True).first() if path else None
    if not isinstance(subject, UUID):
        raise BadRequest("This record leads to nobody.")
    return subject
