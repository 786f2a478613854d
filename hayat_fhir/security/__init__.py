"""Callers, tokens, scopes, policy, accounts and audit events."""
