"""What the desk says of data, reasons and covers in words, also of what releases of before wrote."""

from __future__ import annotations

from privacy import gate, vault
from privacy.admin import covers, told
from privacy.audit import AuditEvent
from privacy.gate import Actor


def test_data_are_named_by_the_map_by_their_columns_and_where_they_are_gone_by_what_they_were_called() -> None:
    event = AuditEvent(label="orders.order", fields=["invoice_name", "number", "lines", "gone_field"])
    assert told.data(event) == "Name on the invoice, Order number, lines, gone field"
    assert told.data(AuditEvent(label="gone.kind", fields=["gone_field"])) == "gone field"


def test_what_a_restriction_does_is_said_of_each_envelope_also_where_the_audit_cut_it_off() -> None:
    text = "order=open fulfilment=account:2030-12-31 gone_kind=acc"
    assert told.reason(AuditEvent(action="record.released", label="orders.order", reason=text), {}) == (
        "Names and address on an invoice: opens as before. Delivery and contact of an order: locked: kept for claims "
        "until 31 December 2030; the privacy team opens it. gone kind: locked"
    )


def test_what_cannot_be_read_says_why_whatever_the_reason() -> None:
    with gate.acting(Actor("staff", "carol", None, frozenset({"sales"}), "admin")):
        lost = covers.reason(vault.KeyUnavailable(), "orders.order", "order")
        assert lost.startswith("Not available at the moment: ")
        masked = covers.reason(vault.Masked(), "gone.kind", "data")
        assert masked == "Covered: no role of staff may read this."
