package loop_test

import "mobius/internal/invariant"

const checked = invariant.Enabled
