"""The data map: what is held about people, why, where it came from, who gets it. Each app declares its own models.

Export, erasure, masking, the Art. 30 record, the published list of what is collected and the residue scan
read this registry; no second list exists (P11, P18). `privacy.checks` refuses to start with an undeclared field.

    datamap.register(
        Declaration(
            model=FreightAccount,
            title="Freight account",
            subject_path="customer__subject",
            data={
                "customer": Datum("Whose account it is", "link", ("orders",), "the person", plain="a random number"),
                "number": Datum("Account number with the carrier", "identifier", ("delivery",), "the person"),
            },
            impersonal={"carrier": "the name of a carrier"},
            facts=facts.freight_account,
        )
    )

    declared  what an app says of its records: a declaration, its data, proofs and stores
    fields    what the fields of a model are: sealed, surrogate keys, to be declared
    registry  all declarations together, and which rows are about a person
    page      the map written down, for programs and for people
    warning   what a person should know before an erasure
"""

from privacy.datamap.declared import (
    CATEGORIES,
    ROW_HASH,
    Datum,
    Declaration,
    Life,
    Machinery,
    Proof,
    Store,
    Titled,
    from_whom,
)
from privacy.datamap.fields import (
    field_named,
    fields_to_declare,
    installed_models,
    is_sealed_column,
    path_resolves,
    sealed_in,
)
from privacy.datamap.page import as_json, as_markdown
from privacy.datamap.registry import (
    DataMapError,
    Flagged,
    autodiscover,
    contribute_flags,
    counts_of,
    declarations,
    flagging,
    flags_of,
    for_label,
    for_model,
    is_sealed,
    people_of,
    person_of,
    records_of,
    register,
    store,
    stores,
)
from privacy.datamap.warning import Warned, warned

__all__ = [
    "CATEGORIES",
    "ROW_HASH",
    "DataMapError",
    "Datum",
    "Declaration",
    "Flagged",
    "Life",
    "Machinery",
    "Proof",
    "Store",
    "Titled",
    "Warned",
    "as_json",
    "as_markdown",
    "autodiscover",
    "contribute_flags",
    "counts_of",
    "declarations",
    "field_named",
    "fields_to_declare",
    "flagging",
    "flags_of",
    "for_label",
    "for_model",
    "from_whom",
    "installed_models",
    "is_sealed",
    "is_sealed_column",
    "path_resolves",
    "people_of",
    "person_of",
    "records_of",
    "register",
    "sealed_in",
    "store",
    "stores",
    "warned",
]
