"""What a platform said about the id and the secret of an app when it was asked."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'


def upgrade() -> None:
    with op.batch_alter_table('platform_app', schema=None) as batch_op:
        batch_op.add_column(sa.Column('check_verdict', sa.String(length=12), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('check_message', sa.Text(), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('check_code', sa.String(length=80), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('checked_client_id', sa.String(length=300), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('checked_secret_version', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('checked_mode', sa.String(length=20), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('check_due_at', sa.DateTime(timezone=True), nullable=True))
