"""Reports of agreement are numbered: two made at the same instant of a sandbox's clock have an order."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE outcome_report ADD COLUMN number integer")
    op.execute(
        "UPDATE outcome_report r SET number = n.number FROM (SELECT part, workspace, contract, outcome, id,"
        " row_number() OVER (PARTITION BY part, workspace, contract, outcome ORDER BY created_at, id) AS number"
        " FROM outcome_report) n WHERE (n.part, n.workspace, n.contract, n.outcome, n.id)"
        " = (r.part, r.workspace, r.contract, r.outcome, r.id)"
    )
    op.execute("ALTER TABLE outcome_report ALTER COLUMN number SET NOT NULL")
    op.execute(
        "CREATE UNIQUE INDEX outcome_report_number ON outcome_report (part, workspace, contract, outcome, number)"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE outcome_report DROP COLUMN number")
