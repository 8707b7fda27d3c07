"""Pictures and the report page; they draw what they are given."""
