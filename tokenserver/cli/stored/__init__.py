"""What commands for stored credentials share: opening the storage, owners, limits, and how credentials are shown."""
