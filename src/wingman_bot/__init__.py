"""The Telegram bot: shows requests to people, relays their decisions, and holds neither a database nor Docker."""
