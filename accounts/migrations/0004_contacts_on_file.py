"""The contacts on file today: they count from their last change in the audit, else from the customer's creation.

Nothing is opened: what a customer has no address of gets a row all the same, which says nothing and is found by nothing.
"""

from datetime import datetime, time
from itertools import islice

from django.db import migrations
from django.utils import timezone

from privacy.audit.encoding import record_hash

CUSTOMER, ADDRESS = "accounts.customer", "accounts.address"
CREATED, EARLIER = "created", "earlier"
BATCH = 1000


def write(apps, schema_editor):
    """Write a contact point for the e-mail and phone of each customer, and for each postal address."""
    customers = apps.get_model("accounts", "Customer").objects.order_by("pk").values_list("pk", "since")
    rest = customers.iterator(chunk_size=BATCH)
    while some := dict(islice(rest, BATCH)):
        _write(apps, some)


def _write(apps, since_of):
    point = apps.get_model("accounts", "ContactPoint")
    found = {}
    for pk, since in since_of.items():
        begin = timezone.make_aware(datetime.combine(since, time()))
        found |= {(pk, channel): (EARLIER, begin) for channel in ("email", "phone")}
        found[pk, ""] = (EARLIER, begin)
    for pk, action, fields, at in _events(apps, CUSTOMER, since_of):
        if action == "customer.imported":
            found |= {(pk, channel): (CREATED, at) for channel in ("email", "phone", "")}
        elif action == "customer.created":
            found |= {(pk, channel): (EARLIER, at) for channel in ("email", "phone", "")}
        elif action == "record.corrected":
            found |= {(pk, channel): (EARLIER, at) for channel in ("email", "phone") if channel in fields}
    owners = dict(
        apps.get_model("accounts", "Address").objects.filter(customer__in=since_of).values_list("pk", "customer")
    )
    places = {pk: found[owner, ""] for pk, owner in owners.items()}
    for pk, action, fields, at in _events(apps, ADDRESS, owners):
        if action == "address.added" or (action == "record.corrected" and set(fields) - {"purpose"}):
            places[pk] = (EARLIER, at)
    point.objects.bulk_create(
        [
            point(customer_id=pk, channel=channel, came=came, since=since)
            for (pk, channel), (came, since) in found.items()
            if channel
        ]
        + [
            point(customer_id=owners[pk], address_id=pk, channel="post", came=came, since=since)
            for pk, (came, since) in places.items()
        ]
    )


def _events(apps, label, ids):
    pk_of = {record_hash(label, pk): pk for pk in ids}
    events = apps.get_model("privacy", "AuditEvent").objects.filter(label=label, record__in=list(pk_of))
    for record, action, fields, at in events.order_by("id").values_list("record", "action", "fields", "at"):
        yield pk_of[record], action, fields, at


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_contact_points")]

    operations = [migrations.RunPython(write, migrations.RunPython.noop, elidable=True)]
