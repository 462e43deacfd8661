// The monitors of this process. There is one, unless copies of this library differ in whether they have loaded the
// addon.

import { shared } from '../internal/shared.js'
import { addon } from '../native/binding.js'
import { type Monitor, sharedMonitor } from './monitor.js'

/** The monitor that this copy uses. If two monitors watched one socket, each would undo the settings of the other. */
export const processMonitor: Monitor = shared(
  addon === undefined ? 'monitor without the addon' : 'monitor',
  () => sharedMonitor,
)

/** All monitors of the process. */
export const monitors: ReadonlySet<Monitor> = shared('monitors', () => new Set<Monitor>()).add(
  processMonitor,
)
