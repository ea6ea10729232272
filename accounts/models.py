"""The models of this app, by topic: customers (whom we deal with), points (since when they are reached
how), communications (what was said), users (who logs in)."""

from accounts.communications import Communication
from accounts.customers import (
    Address,
    Channel,
    Company,
    Customer,
    FreightAccount,
    Owned,
    OwnedByCustomer,
    TaxIdentifier,
)
from accounts.points import ContactLink, ContactPoint
from accounts.users import LOGIN_ADDRESS, ClaimReview, Joined, Joining, LoginAddress, Session, User

__all__ = [
    "LOGIN_ADDRESS",
    "Address",
    "Channel",
    "ClaimReview",
    "Communication",
    "Company",
    "ContactLink",
    "ContactPoint",
    "Customer",
    "FreightAccount",
    "Joined",
    "Joining",
    "LoginAddress",
    "Owned",
    "OwnedByCustomer",
    "Session",
    "TaxIdentifier",
    "User",
]
