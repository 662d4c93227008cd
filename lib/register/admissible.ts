import { native } from '../kernel/binding'
import type { IpFamily } from '../connect/address'
import { openSocket } from '../connect/open'
import type { Settings } from '../options/option'
import { applyToFresh, prepareSettings } from '../options/tune'
import type { Log } from './log'

/** Settings for each family: an IPv4 socket refuses options of IPv6. */
export type FamilySettings = Readonly<Record<IpFamily, Settings>>

const NOTHING = prepareSettings({})

/**
 * Returns the settings that the kernel accepts for each family, by trying them on temporary sockets. A refused
 * setting must not prevent connections, nor the other settings. Warns of settings that both families refuse.
 */
export function admissible(path: string, settings: Settings, log: Log): FamilySettings {
  if (Object.keys(settings).length === 0 || process.platform === 'win32') return { 4: {}, 6: {} }
  const [four, six] = [tryOn(4, settings), tryOn(6, settings)]
  for (const [name, { message }] of four.refused) {
    if (six.refused.has(name)) log.trouble(name, `${path}.${name} is ignored: ${message}`)
  }
  return { 4: four.admitted, 6: six.admitted }
}

interface Trial {
  readonly admitted: Settings
  readonly refused: ReadonlyMap<string, Error>
}

function tryOn(family: IpFamily, settings: Settings): Trial {
  const admitted: Record<string, unknown> = {}
  const refused = new Map<string, Error>()
  for (const [name, value] of Object.entries(settings)) {
    try {
      trySetting(family, { [name]: value })
      admitted[name] = value
    } catch (error) {
      refused.set(name, error as Error)
    }
  }
  return { admitted, refused }
}

function trySetting(family: IpFamily, setting: Settings): void {
  const { fd } = openSocket(family, NOTHING)
  try {
    applyToFresh(fd, prepareSettings(setting))
  } finally {
    native.closeFd(fd)
  }
}
