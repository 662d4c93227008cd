import type { IpFamily } from '../connect/address'
import { Connector, tuningOf } from '../connect/connector'
import type { PreparedSettings } from '../options/tune'
import type { Settings } from '../options/option'
import { admissible } from './admissible'
import type { ClientsConfiguration } from './config'
import type { Log } from './log'

/** The tuning of the connections of one family. */
export interface FamilyPlan {
  readonly connector: Connector
  readonly wanted: Settings
  readonly settings: PreparedSettings
  /** Nothing has to be set before connect(2). */
  readonly isEmpty: boolean
}

export type FamilyPlans = Readonly<Record<IpFamily, FamilyPlan>>

export function plansOf(configuration: ClientsConfiguration, log: Log): FamilyPlans {
  const { portRange } = configuration
  // The port range is a socket option, which an old kernel may refuse like any other.
  const range = typeof portRange === 'object' ? { IP_LOCAL_PORT_RANGE: portRange } : {}
  const settings = admissible('clients.settings', { ...range, ...configuration.settings }, log)
  return {
    4: familyPlan(4, settings[4], configuration),
    6: familyPlan(6, settings[6], configuration),
  }
}

function familyPlan(
  family: IpFamily,
  settings: Settings,
  { sources, portRange }: ClientsConfiguration,
): FamilyPlan {
  const connector = new Connector({
    settings,
    source: sources[family],
    portRange: portRange === 'kernel' ? portRange : undefined,
  })
  const tuning = tuningOf(connector)
  const isEmpty = tuning.onlyClose || process.platform === 'win32'
  return { connector, wanted: settings, settings: tuning.settings, isEmpty }
}
