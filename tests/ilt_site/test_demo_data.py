"""The command that loads the demo company: where no demo is wanted it loads nothing, else it prints the logins."""

import json
import re
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import Customer
from tests.shapes import shaped

pytestmark = pytest.mark.django_db


def test_it_is_refused_where_no_demo_is_wanted(settings: Any, capsys: Any) -> None:
    settings.DEMO = False
    with pytest.raises(SystemExit) as ended:
        call_command("demo_data")
    assert ended.value.code == 3
    assert "DEMO" in capsys.readouterr().err
    assert Customer.objects.count() == 0


def test_the_command_prints_the_logins(settings: Any, capsys: Any) -> None:
    settings.DEMO = True
    call_command("demo_data", json=True)
    told = shaped("demo_data", json.loads(capsys.readouterr().out))
    assert told["created"] is True
    assert {one["username"] for one in told["logins"]} == {"alice", "bob", "carol", "dan", "erin", "pat", "mona"}
    call_command("demo_data")
    assert re.search(r"customer +alice +\S+-\S+", capsys.readouterr().out)
