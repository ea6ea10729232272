"""Which numbers of an order, its lines and products are no card numbers: changes checks alone, and no table."""

from django.db import migrations, models

import accounts.validators


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0007_payment_methods"),
    ]

    operations = [
        migrations.AlterField(
            model_name="order",
            name="number",
            field=models.CharField(max_length=40, unique=True, validators=[accounts.validators.no_card_for_identifier]),
        ),
        migrations.AlterField(
            model_name="orderline",
            name="description",
            field=models.CharField(max_length=200, validators=[accounts.validators.no_card_for_product]),
        ),
        migrations.AlterField(
            model_name="product",
            name="name",
            field=models.CharField(max_length=200, validators=[accounts.validators.no_card_for_product]),
        ),
        migrations.AlterField(
            model_name="product",
            name="sku",
            field=models.CharField(
                max_length=40, unique=True, validators=[accounts.validators.no_card_for_product], verbose_name="SKU"
            ),
        ),
    ]
