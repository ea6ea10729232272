"""Companies at the desk."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin

from accounts import countries
from accounts.admin.correcting import CorrectableAdmin, PlacedForm
from accounts.country_choice import CountryToChoose
from accounts.models import Company
from privacy.admin.matters import matters_of
from privacy.admin.tables import Rows, filter_called, yes_or_no
from privacy.gate import Actor

SOLE_TRADER = yes_or_no("is_sole_trader", "Sole trader")


@admin.register(Company)
class CompanyAdmin(CorrectableAdmin):
    form = PlacedForm
    change_form_template = "admin/owner.html"
    list_display = ("name", "city", "region", "country", SOLE_TRADER)
    list_filter = (("is_sole_trader", filter_called("sole trader")), CountryToChoose)
    ordering = ("-id",)
    editable = (
        "name",
        "vat_number",
        "tax_id",
        "phone",
        "street",
        "street2",
        "city",
        "postal_code",
        "region",
        "country",
    )
    search_help = "Company name, VAT number or phone number. What you type is not kept."
    fields: ClassVar[Any] = (*editable, SOLE_TRADER)
    rows = (Rows("contacts", "Contacts", ("reference", "first_name", "last_name", "email", "phone")),)

    is_company = True

    def asked_about(self, record: Company) -> UUID:
        """Return the person of a sole trader, else the company itself: its page opens what is held of its contacts."""
        return self.person_of(record) or record.pk

    def heading_of(self, record: Company) -> str:
        """Return the name of the company, which has no number that people know; where it cannot be read, where the
        company is."""
        where = f" ({countries.name_of(record.country)})" if record.country else ""
        return record.name or f"A company{where}"

    def called(self, record: Company) -> str:
        """Return in a link what the page is headed with: no browser remembers it."""
        return self.heading_of(record)

    def tab_of(self, record: Company) -> str:
        """Return the name of the company; of a sole trader, whose name is a person's, that it is a company."""
        return "Company" if record.is_sole_trader else self.heading_of(record)

    def details(self, record: Company, actor: Actor) -> dict[str, Any]:
        """Return the contacts, and above them what the company has to do with us, as far as the role works with it."""
        return {**super().details(record, actor), "matters": matters_of(record, actor)}
