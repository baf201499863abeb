-- What an action does to customers and to the till, by account: for this a pattern is no longer advised
-- (keeper_grpc/domain/evidence/guardrails.py). Only accounts that reported some of it have a row.

CREATE TABLE pattern_harms (
    pattern_id        uuid NOT NULL REFERENCES network_patterns ON DELETE CASCADE,
    account_key       text NOT NULL REFERENCES accounts,
    complaint_known   bigint NOT NULL,
    complaints        bigint NOT NULL,
    unsubscribe_known bigint NOT NULL,
    unsubscribes      bigint NOT NULL,
    costed            bigint NOT NULL,           -- outcomes with revenue and cost
    net_revenue       double precision NOT NULL, -- of these
    PRIMARY KEY (pattern_id, account_key)
);
CREATE INDEX pattern_harms_account ON pattern_harms (account_key);

CREATE VIEW harm_owners AS
SELECT s.pattern_id, a.owner_key, sum(s.complaint_known)::bigint AS complaint_known,
       sum(s.complaints)::bigint AS complaints,
       sum(s.unsubscribe_known)::bigint AS unsubscribe_known,
       sum(s.unsubscribes)::bigint AS unsubscribes, sum(s.costed)::bigint AS costed,
       sum(s.net_revenue) AS net_revenue
  FROM pattern_harms s JOIN accounts a USING (account_key)
 WHERE a.qualified GROUP BY s.pattern_id, a.owner_key;

-- What was reported since outcomes have these fields.
INSERT INTO pattern_harms
SELECT o.pattern_id, o.account_key, count(o.complained), count(*) FILTER (WHERE o.complained),
       count(o.unsubscribed), count(*) FILTER (WHERE o.unsubscribed),
       count(o.net_revenue) FILTER (WHERE o.cost IS NOT NULL),
       coalesce(sum(o.net_revenue) FILTER (WHERE o.cost IS NOT NULL), 0)
  FROM observations o JOIN accounts a USING (account_key, business_category)
 WHERE o.pattern_id IS NOT NULL AND o.counted
   AND (o.complained IS NOT NULL OR o.unsubscribed IS NOT NULL
        OR o.cost IS NOT NULL AND o.revenue_impact IS NOT NULL)
 GROUP BY 1, 2;
