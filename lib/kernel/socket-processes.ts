/** Finds the processes that hold sockets: the links of /proc/PID/fd (proc_pid_fd(5)). Linux. */
import { readdirSync, readlinkSync } from 'node:fs'
import { contentOf } from './proc'
import { TimeSlices } from './time-slices'

export interface SocketProcess {
  readonly pid: number
  /** The name of the program, at most 15 characters (/proc/PID/comm). */
  readonly command: string
}

/** Links between two checks of the clock. */
const CHECK_EVERY = 16

export interface SocketProcesses {
  /**
   * By the inode of the socket; undefined for a socket that several processes hold. Sockets of processes that this one
   * may not examine are missing.
   */
  readonly byInode: ReadonlyMap<number, SocketProcess | undefined>
  /** Processor time, ms. */
  readonly busyMs: number
}

/** Reads the links of all processes, in slices of 1 ms. */
export async function findSocketProcesses(root = '/proc'): Promise<SocketProcesses> {
  const byInode = new Map<number, SocketProcess | undefined>()
  const slices = new TimeSlices()
  let links = 0
  for (const name of namesIn(root)) {
    if (!/^\d+$/.test(name)) continue
    let found: SocketProcess | undefined
    for (const fd of namesIn(`${root}/${name}/fd`)) {
      const inode = inodeOf(`${root}/${name}/fd/${fd}`)
      if (inode !== undefined) {
        found ??= { pid: Number(name), command: contentOf(`${root}/${name}/comm`).trimEnd() }
        const before = byInode.get(inode)
        const isShared = byInode.has(inode) && before?.pid !== found.pid
        byInode.set(inode, isShared ? undefined : found)
      }
      if (++links % CHECK_EVERY === 0) await slices.pause()
    }
    await slices.pause()
  }
  return { byInode, busyMs: slices.busyMs }
}

/** Returns the names in a folder; none if the process has ended, or belongs to another user. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Returns the inode of a link to a socket. */
function inodeOf(link: string): number | undefined {
  try {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(link)) ?? []
    return inode === undefined ? undefined : Number(inode)
  } catch {
    return undefined
  }
}
