"""Files, formats and several apps of a platform."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.create_table('deletion_request',
    sa.Column('code', sa.String(length=40), nullable=False),
    sa.Column('platform', sa.String(length=20), nullable=False),
    sa.Column('person_hash', sa.String(length=64), nullable=False),
    sa.Column('grants', sa.Integer(), nullable=False),
    sa.Column('accounts', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('code', name=op.f('pk_deletion_request'))
    )
    op.create_table('media',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('workspace_id', sa.String(length=32), nullable=False),
    sa.Column('user_id', sa.String(length=32), nullable=True),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('type', sa.String(length=100), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('width', sa.Integer(), nullable=False),
    sa.Column('height', sa.Integer(), nullable=False),
    sa.Column('seconds', sa.Double(), nullable=True),
    sa.Column('frame_rate', sa.Double(), nullable=True),
    sa.Column('frames', sa.Integer(), nullable=False),
    sa.Column('pages', sa.Integer(), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.Column('alt_text', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['user.id'], name=op.f('fk_media_user_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['workspace_id'], ['workspace.id'], name=op.f('fk_media_workspace_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_media'))
    )
    with op.batch_alter_table('media', schema=None) as batch_op:
        batch_op.create_index('ix_media_workspace_id_created_at', ['workspace_id', 'created_at'], unique=False)

    op.create_table('media_use',
    sa.Column('post_id', sa.String(length=32), nullable=False),
    sa.Column('media_id', sa.String(length=32), nullable=False),
    sa.ForeignKeyConstraint(['media_id'], ['media.id'], name=op.f('fk_media_use_media_id')),
    sa.ForeignKeyConstraint(['post_id'], ['post.id'], name=op.f('fk_media_use_post_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('post_id', 'media_id', name=op.f('pk_media_use'))
    )
    with op.batch_alter_table('media_use', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_media_use_media_id'), ['media_id'], unique=False)

    op.create_table('media_link',
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('media_id', sa.String(length=32), nullable=False),
    sa.Column('delivery_id', sa.String(length=32), nullable=False),
    sa.Column('variant', sa.String(length=80), nullable=False),
    sa.Column('type', sa.String(length=100), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_media_link_delivery_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['media_id'], ['media.id'], name=op.f('fk_media_link_media_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_media_link'))
    )
    with op.batch_alter_table('media_link', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_media_link_delivery_id'), ['delivery_id'], unique=False)

    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.add_column(sa.Column('format', sa.String(length=20), nullable=False, server_default='text'))
        batch_op.add_column(sa.Column('options', sa.JSON(), nullable=False, server_default='{}'))
        batch_op.add_column(sa.Column('is_heavy', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column('parts', sa.JSON(), nullable=False, server_default='[]'))
        batch_op.add_column(sa.Column('polls', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('warning', sa.Text(), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table('grant', schema=None) as batch_op:
        batch_op.add_column(sa.Column('secret_version', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('profile_id', sa.String(length=100), nullable=False, server_default=''))
        batch_op.drop_constraint(batch_op.f('uq_grant_workspace_id'), type_='unique')
        batch_op.create_unique_constraint(batch_op.f('uq_grant_workspace_id'), ['workspace_id', 'app_id', 'person_id', 'profile_id'])

    with op.batch_alter_table('platform_app', schema=None) as batch_op:
        batch_op.add_column(sa.Column('name', sa.String(length=60), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('workspace_ids', sa.JSON(), nullable=False, server_default='[]'))

    with op.batch_alter_table('post', schema=None) as batch_op:
        batch_op.add_column(sa.Column('content', sa.JSON(), nullable=False, server_default='{}'))

    _note_what_is_out()


def _note_what_is_out() -> None:
    """What was published before keeps its one part, so that it can be deleted from here like a newer one."""
    delivery = sa.table('delivery', sa.column('id'), sa.column('platform_post_id'), sa.column('permalink'),
                        sa.column('parts', sa.JSON()))
    connection = op.get_bind()
    found = connection.execute(sa.select(delivery.c.id, delivery.c.platform_post_id, delivery.c.permalink)
                               .where(delivery.c.platform_post_id != '')).all()
    for row in found:
        part = {'id': row.platform_post_id, 'permalink': row.permalink}
        connection.execute(sa.update(delivery).where(delivery.c.id == row.id).values(parts=[part]))
