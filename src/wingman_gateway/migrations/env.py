"""Run the gateway's migrations on the connection that ``wingman migrate`` hands over, as the owner role."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table="alembic_version_gateway",
)
with context.begin_transaction():
    context.run_migrations()
