"""Posts that repeat, tallies, breakers, and indexes for what claims look for."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    op.create_table('tally',
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('what', sa.String(length=20), nullable=False),
    sa.Column('platform', sa.String(length=20), nullable=False),
    sa.Column('label', sa.String(length=80), nullable=False),
    sa.Column('count', sa.BigInteger(), nullable=False),
    sa.Column('total', sa.Double(), nullable=False),
    sa.PrimaryKeyConstraint('at', 'what', 'platform', 'label', name=op.f('pk_tally'))
    )
    op.create_table('series',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('workspace_id', sa.String(length=32), nullable=False),
    sa.Column('author_id', sa.String(length=32), nullable=True),
    sa.Column('author_name', sa.String(length=254), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.Column('targets', sa.JSON(), nullable=False),
    sa.Column('every', sa.String(length=10), nullable=False),
    sa.Column('first_wall', sa.String(length=16), nullable=False),
    sa.Column('time_zone', sa.String(length=64), nullable=False),
    sa.Column('last_day', sa.String(length=10), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('skipped', sa.Integer(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['author_id'], ['user.id'], name=op.f('fk_series_author_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspace.id'], name=op.f('fk_series_workspace_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_series'))
    )
    with op.batch_alter_table('series', schema=None) as batch_op:
        batch_op.create_index('ix_series_next_at', ['next_at'], unique=False, sqlite_where=sa.text('next_at IS NOT NULL'), postgresql_where=sa.text('next_at IS NOT NULL'))
        batch_op.create_index(batch_op.f('ix_series_workspace_id'), ['workspace_id'], unique=False)

    with op.batch_alter_table('account', schema=None) as batch_op:
        batch_op.create_index('ix_account_platform_state', ['platform', 'state'], unique=False)

    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.create_index('ix_delivery_lease_until', ['lease_until'], unique=False, sqlite_where=sa.text('lease_until IS NOT NULL'), postgresql_where=sa.text('lease_until IS NOT NULL'))
        batch_op.create_index('ix_delivery_is_heavy', ['is_heavy', 'account_id', 'due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))

    with op.batch_alter_table('grant', schema=None) as batch_op:
        batch_op.add_column(sa.Column('error_code', sa.String(length=80), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('failed_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index('ix_grant_app_id', ['app_id', 'error_code', 'failed_at'], unique=False)
        batch_op.create_index('ix_grant_lease_until', ['lease_until'], unique=False, sqlite_where=sa.text('lease_until IS NOT NULL'), postgresql_where=sa.text('lease_until IS NOT NULL'))

    with op.batch_alter_table('platform_app', schema=None) as batch_op:
        batch_op.add_column(sa.Column('breaker_opened_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('breaker_until', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('breaker_trips', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('breaker_probe_until', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('breaker_scope', sa.String(length=10), nullable=False, server_default=''))

    with op.batch_alter_table('post', schema=None) as batch_op:
        batch_op.add_column(sa.Column('series_id', sa.String(length=32), nullable=True))
        batch_op.create_index(batch_op.f('ix_post_series_id'), ['series_id'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_post_series_id'), 'series', ['series_id'], ['id'], ondelete='SET NULL')
