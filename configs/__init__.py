"""Configurations that come with archon."""
