"""Run the API's migrations on the connection that ``wingman migrate`` hands over, as the owner role."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table="alembic_version_api",
)
with context.begin_transaction():
    context.run_migrations()
