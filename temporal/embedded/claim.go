package embedded

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"openflow"
)

const (
	claimKey      = `hashtextextended('openflow.temporal', 0)`
	claimLook     = 2 * time.Second // between two looks whether the claim still holds
	claimPatience = time.Minute     // how long a database server may be away
)

// claim is the right to be the only server on a database: two would take the shards from each other. It is a lock of one
// connection, so it ends with the process, however that ends.
type claim struct {
	p    postgres
	conn *pgx.Conn
	stop context.CancelFunc
	done chan struct{}
}

// take claims the database; CodeConflict when another process has it.
func take(ctx context.Context, p postgres) (*claim, error) {
	c := &claim{p: p}
	return c, c.lock(ctx)
}

// watch tells failure when the claim is lost: somebody else has taken it while the database server was away, or the server
// does not come back.
func (c *claim) watch(failure *failure) {
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.done = stop, make(chan struct{})
	go c.keep(ctx, failure)
}

func (c *claim) lock(ctx context.Context) error {
	conn, err := c.p.connect(ctx, c.p.database)
	if err != nil {
		return c.p.explain("claim", err)
	}
	var ours bool
	err = conn.QueryRow(ctx, "select pg_try_advisory_lock("+claimKey+")").Scan(&ours)
	if err == nil && ours {
		c.conn = conn
		return nil
	}
	_ = conn.Close(context.WithoutCancel(ctx)) // what the server said is the error to tell
	if err != nil {
		return c.p.explain("claim", err)
	}
	return openflow.Errorf(openflow.CodeConflict, "temporal server: another one runs on %s", c.p).
		WithHint("one server per database: stop the other one, or name another database")
}

// keep looks whether the claim still holds, and takes it again when the database server has been away.
func (c *claim) keep(ctx context.Context, failure *failure) {
	defer close(c.done)
	seen := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(claimLook):
		}
		err := c.look(ctx)
		switch {
		case err == nil:
			seen = time.Now()
		case ctx.Err() != nil:
			return
		case openflow.CodeOf(err) == openflow.CodeConflict, time.Since(seen) > claimPatience:
			failure.report(err)
			return
		}
	}
}

func (c *claim) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if c.conn != nil {
		if err := c.conn.Ping(ctx); err == nil {
			return nil
		}
		_ = c.conn.Close(context.WithoutCancel(ctx)) // it is broken
		c.conn = nil
	}
	return c.lock(ctx)
}

// release gives the database free.
func (c *claim) release() {
	if c.stop != nil {
		c.stop()
		<-c.done
	}
	if c.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
		defer cancel()
		_ = c.conn.Close(ctx) // the database server frees it anyway
	}
}
