import { familyOf, type IpFamily } from '../connect/address'
import type { Plan } from '../connect/attempt'
import { SourcePool } from '../connect/source-pool'
import { prepareTuning, tuningOptions } from '../connect/tuning'
import type { Settings } from '../options/option'
import { admissible } from './admissible'
import type { ClientsConfiguration } from './config'
import type { Log } from './log'

/** What connections of one family are made with. */
export interface FamilyPlan extends Plan {
  readonly wanted: Settings
  /** There is nothing to do before connect(2). */
  readonly isEmpty: boolean
}

export type FamilyPlans = Readonly<Record<IpFamily, FamilyPlan>>

export function plansOf(configuration: ClientsConfiguration, log: Log): FamilyPlans {
  const { portRange } = configuration
  // Confining the ports is an option like another, which an old kernel may refuse.
  const range = typeof portRange === 'object' ? { IP_LOCAL_PORT_RANGE: portRange } : {}
  const settings = admissible('clients.settings', { ...range, ...configuration.settings }, log)
  return { 4: planOf(4, settings[4], configuration), 6: planOf(6, settings[6], configuration) }
}

function planOf(
  family: IpFamily,
  settings: Settings,
  { sources, portRange }: ClientsConfiguration,
): FamilyPlan {
  const own = sources.filter((address) => familyOf('sources', address) === family)
  const options = tuningOptions.check('options', {
    settings,
    source: own.length > 1 ? new SourcePool(own) : own[0],
    portRange: portRange === 'kernel' ? portRange : undefined,
  })
  const tuning = prepareTuning(options)
  const isEmpty = tuning.onlyClose || process.platform === 'win32'
  return { tuning, localAddress: tuning.localAddress, localPort: 0, wanted: settings, isEmpty }
}
