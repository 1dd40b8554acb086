package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"openflow"
)

// ImportModels records models that no job of this site has made, all or none of them. What is there already, with the same object,
// stays as it is. CodeConflict: there is another model of that name. Errors: those of SaveModel too.
func (c *Catalogue) ImportModels(ctx context.Context, list []openflow.ModelRecord) error {
	err := c.write(ctx, func(t *tx) error {
		sizes := modelSizes{}
		for _, m := range list {
			if err := checkModel(m); err != nil {
				return err
			}
			before, err := scanModel(t.one(ctx, readModel, m.ModelID, m.Version, string(m.Party.Role), string(m.Party.ID), string(m.Task), m.OutputKey, string(m.Scheduler)))
			switch {
			case err == nil && before.Object == m.Object:
				continue
			case err == nil:
				return openflow.Errorf(openflow.CodeConflict, "%s is here already, and another one", modelName(m)).
					WithHint("import it under another model_id or model_version, or delete that one first")
			case !errors.Is(err, sql.ErrNoRows):
				return err
			}
			sizes.add(m, 1)
			if _, err := t.exec(ctx, saveModel, modelValues(m, c.stamp())...); err != nil {
				return err
			}
		}
		return t.takeModels(ctx, sizes)
	})
	return classify("import models", err)
}
