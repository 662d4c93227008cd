/** The environment of this process: its container, and what it may change and open. */
import { existsSync, readdirSync } from 'node:fs'
import { contentOf } from '../../kernel/proc'

/** The software that runs this container, by the marks that it leaves; undefined if there are none. */
export function containerKind(): string | undefined {
  if (process.env.KUBERNETES_SERVICE_HOST !== undefined) return 'kubernetes'
  if (existsSync('/.dockerenv')) return 'docker'
  if (existsSync('/run/.containerenv')) return 'podman'
  const named = contentOf('/run/systemd/container').trim()
  return named === '' ? undefined : named
}

const SYSCTL_FOLDER = '/proc/sys/net'

/**
 * Whether /proc/sys/net is mounted read-only, as in most containers. The last line of /proc/self/mounts for the
 * longest matching mount point decides (proc_pid_mounts(5)).
 */
export function parseReadOnly(mounts: string): boolean | undefined {
  let readOnly: boolean | undefined
  let longest = 0
  for (const line of mounts.split('\n')) {
    const [, point = '', , options = ''] = line.split(' ')
    const within = SYSCTL_FOLDER === point || SYSCTL_FOLDER.startsWith(`${point}/`)
    if (!within || point === '' || point.length < longest) continue
    longest = point.length
    readOnly = options.split(',').includes('ro')
  }
  return readOnly
}

/** RLIMIT_NOFILE of this process, and the number of its descriptors. */
export interface OpenFiles {
  readonly soft: number | 'unlimited'
  readonly hard: number | 'unlimited'
  readonly open?: number
}

/** Parses /proc/self/limits: proc_pid_limits(5). */
export function parseOpenFileLimits(limits: string): OpenFiles | undefined {
  const [, soft, hard] = /^Max open files\s+(\w+)\s+(\w+)/m.exec(limits) ?? []
  if (soft === undefined || hard === undefined) return undefined
  return { soft: limitOf(soft), hard: limitOf(hard) }
}

function limitOf(text: string): number | 'unlimited' {
  return text === 'unlimited' ? text : Number(text)
}

export function readOpenFiles(): OpenFiles | undefined {
  const limits = parseOpenFileLimits(contentOf('/proc/self/limits'))
  return limits === undefined ? undefined : { ...limits, ...countDescriptors() }
}

function countDescriptors(): { open?: number } {
  try {
    // Without the descriptor of the folder itself.
    return { open: readdirSync('/proc/self/fd').length - 1 }
  } catch {
    return {}
  }
}
