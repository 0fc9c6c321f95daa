"""What needs a person, what is mailed about it, links to connect with, and what calls to the platforms did."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    waits = sa.text('due_at IS NOT NULL')
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.drop_index('ix_delivery_is_heavy')
        batch_op.create_index('ix_delivery_is_heavy', ['is_heavy', 'account_id', 'due_at', 'id'], unique=False, sqlite_where=waits, postgresql_where=waits)

    op.create_table('incident',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('workspace_id', sa.String(length=32), nullable=True),
    sa.Column('kind', sa.String(length=30), nullable=False),
    sa.Column('subject_type', sa.String(length=20), nullable=False),
    sa.Column('subject_id', sa.String(length=40), nullable=False),
    sa.Column('subject_name', sa.String(length=200), nullable=False),
    sa.Column('platform', sa.String(length=20), nullable=False),
    sa.Column('stage', sa.Integer(), nullable=False),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.Column('step', sa.Text(), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspace.id'], name=op.f('fk_incident_workspace_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_incident'))
    )
    with op.batch_alter_table('incident', schema=None) as batch_op:
        batch_op.create_index('ix_incident_open', ['kind', 'subject_id'], unique=True, sqlite_where=sa.text('closed_at IS NULL'), postgresql_where=sa.text('closed_at IS NULL'))
        batch_op.create_index('ix_incident_workspace_id', ['workspace_id', 'opened_at'], unique=False)
        batch_op.create_index('ix_incident_closed_at', ['closed_at'], unique=False)

    op.create_table('recording',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('workspace_id', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('platform', sa.String(length=20), nullable=False),
    sa.Column('subject_id', sa.String(length=32), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('spent', sa.Integer(), nullable=False),
    sa.Column('outcome', sa.String(length=20), nullable=False),
    sa.Column('code', sa.String(length=80), nullable=False),
    sa.Column('steps', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspace.id'], name=op.f('fk_recording_workspace_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recording'))
    )
    with op.batch_alter_table('recording', schema=None) as batch_op:
        batch_op.create_index('ix_recording_subject_id', ['subject_id', 'id'], unique=False)
        batch_op.create_index('ix_recording_not_ok', ['id'], unique=False, sqlite_where=sa.text("outcome <> 'ok'"), postgresql_where=sa.text("outcome <> 'ok'"))
        batch_op.create_index('ix_recording_connect', ['id'], unique=False, sqlite_where=sa.text("kind = 'connect'"), postgresql_where=sa.text("kind = 'connect'"))

    op.create_table('message',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('user_id', sa.String(length=32), nullable=True),
    sa.Column('incident_id', sa.String(length=32), nullable=True),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('to', sa.String(length=254), nullable=False),
    sa.Column('subject', sa.String(length=200), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('about', sa.JSON(), nullable=False),
    sa.Column('once', sa.String(length=120), nullable=True),
    sa.ForeignKeyConstraint(['incident_id'], ['incident.id'], name=op.f('fk_message_incident_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['user.id'], name=op.f('fk_message_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_message')),
    sa.UniqueConstraint('once', name=op.f('uq_message_once'))
    )
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.create_index('ix_message_due_at', ['due_at'], unique=False, sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
        batch_op.create_index('ix_message_created_at', ['created_at'], unique=False)
        batch_op.create_index('ix_message_sent_at', ['sent_at'], unique=False, sqlite_where=sa.text('sent_at IS NOT NULL'), postgresql_where=sa.text('sent_at IS NOT NULL'))
        batch_op.create_index(batch_op.f('ix_message_incident_id'), ['incident_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_message_user_id'), ['user_id'], unique=False)

    op.create_table('connect_link',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('workspace_id', sa.String(length=32), nullable=False),
    sa.Column('account_id', sa.String(length=32), nullable=True),
    sa.Column('app_id', sa.String(length=32), nullable=True),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('asked_by_id', sa.String(length=32), nullable=True),
    sa.Column('asked_by', sa.String(length=254), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('mailed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('result_ids', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['account.id'], name=op.f('fk_connect_link_account_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['app_id'], ['platform_app.id'], name=op.f('fk_connect_link_app_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['asked_by_id'], ['user.id'], name=op.f('fk_connect_link_asked_by_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspace.id'], name=op.f('fk_connect_link_workspace_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_connect_link')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_connect_link_token_hash'))
    )
    with op.batch_alter_table('connect_link', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_connect_link_account_id'), ['account_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_connect_link_workspace_id'), ['workspace_id'], unique=False)

    with op.batch_alter_table('connection_attempt', schema=None) as batch_op:
        batch_op.add_column(sa.Column('link_id', sa.String(length=32), nullable=True))
        batch_op.alter_column('user_id',
               existing_type=sa.VARCHAR(length=32),
               nullable=True)
        batch_op.create_foreign_key(batch_op.f('fk_connection_attempt_link_id'), 'connect_link', ['link_id'], ['id'], ondelete='CASCADE')
        batch_op.create_index(batch_op.f('ix_connection_attempt_link_id'), ['link_id'], unique=False)
        batch_op.add_column(sa.Column('scopes_wanted', sa.JSON(), nullable=False, server_default='[]'))
        batch_op.add_column(sa.Column('receipt', sa.JSON(), nullable=False, server_default='{}'))

    with op.batch_alter_table('grant', schema=None) as batch_op:
        batch_op.add_column(sa.Column('scopes_since', sa.JSON(), nullable=False, server_default='{}'))

    with op.batch_alter_table('account', schema=None) as batch_op:
        batch_op.add_column(sa.Column('revocation', sa.JSON(), nullable=False, server_default='{}'))

    with op.batch_alter_table('platform_app', schema=None) as batch_op:
        batch_op.add_column(sa.Column('off_note', sa.Text(), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('off_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('off_by', sa.String(length=254), nullable=False, server_default=''))

    with op.batch_alter_table('user', schema=None) as batch_op:
        batch_op.add_column(sa.Column('alerts', sa.JSON(), nullable=False, server_default='{}'))
