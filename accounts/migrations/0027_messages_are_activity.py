"""A message from a customer counts as activity: messages of before too."""

from __future__ import annotations

from django.db import migrations

# Customers first, then their companies: the later of what is known and of the last message that came from them.
CUSTOMERS = """
    UPDATE accounts_customer t SET last_active_on = seen.day
    FROM (SELECT customer_id, max(received_on) AS day FROM accounts_communication
          WHERE customer_id IS NOT NULL AND direction = 'in' GROUP BY customer_id) seen
    WHERE t.id = seen.customer_id AND (t.last_active_on IS NULL OR t.last_active_on < seen.day)
"""
COMPANIES = """
    UPDATE accounts_company t SET last_active_on = seen.day
    FROM (SELECT c.company_id, max(m.received_on) AS day
          FROM accounts_communication m JOIN accounts_customer c ON c.id = m.customer_id
          WHERE c.company_id IS NOT NULL AND m.direction = 'in' GROUP BY c.company_id) seen
    WHERE t.id = seen.company_id AND (t.last_active_on IS NULL OR t.last_active_on < seen.day)
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0026_called_messages")]

    operations = [
        migrations.RunSQL(CUSTOMERS, migrations.RunSQL.noop),
        migrations.RunSQL(COMPANIES, migrations.RunSQL.noop),
    ]
