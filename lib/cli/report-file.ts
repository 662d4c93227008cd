/** A file that is checked at the beginning of a long command and written at its end. */
import { randomBytes } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from 'node:fs'
import { Socket } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** The pause before a named pipe without a reader is opened again, ms: the kernel does not report a reader. */
const READER_PAUSE_MS = 100
const STDOUT = 1

/**
 * How the file is written:
 *
 * - `rename`: as a file beside it, which then takes its place, so that it is never empty or half written.
 * - `overwrite`: in place, where its folder takes no other file.
 * - `stdout`: to standard output, because the path leads there.
 * - `pipe`: to the reader of a named pipe, once there is one.
 */
type Way = 'rename' | 'overwrite' | 'stdout' | 'pipe'

/** The file of --report. @throws Error that names the flag, the path and the reason, if it cannot be written */
export function reportFile(path: string): ReportFile {
  try {
    return new ReportFile(path)
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    const why = `--report '${path}' cannot be written: ${message}`
    throw Object.assign(new Error(why, { cause: error }), { code })
  }
}

export class ReportFile {
  /** The path at the end of all symbolic links. */
  readonly #path: string
  readonly #way: Way
  /** Undefined for a new file. */
  readonly #earlier: Stats | undefined

  /** Changes nothing. @throws what a write would throw: EACCES, EISDIR, ENOENT, EROFS and others */
  constructor(path: string) {
    const stats = statOf(path)
    // Only a regular file has another path: /dev/fd/3 may lead to a pipe without a name.
    this.#path = stats?.isFile() === false ? path : endOfLinks(resolve(path))
    this.#earlier = stats
    this.#way = wayTo(this.#path, stats)
  }

  /** @throws (as a rejection) what a write throws; an earlier report is then as it was, unless it is overwritten in place */
  async write(text: string): Promise<void> {
    switch (this.#way) {
      case 'stdout':
        process.stdout.write(text)
        return
      case 'pipe':
        await writeToReader(this.#path, text)
        return
      case 'overwrite':
        writeFileSync(this.#path, text)
        return
      case 'rename':
        this.#replace(text)
    }
  }

  #replace(text: string): void {
    const temporary = besideOf(this.#path)
    try {
      const file = openSync(temporary, 'wx')
      try {
        writeFileSync(file, text)
        // A rename may be on disk before the content is.
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      if (this.#earlier !== undefined) copyAccess(this.#earlier, temporary)
      renameSync(temporary, this.#path)
    } catch (error) {
      rmSync(temporary, { force: true })
      // A file that is a mount point cannot be replaced.
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
      writeFileSync(this.#path, text)
    }
  }
}

function wayTo(path: string, stats: Stats | undefined): Way {
  if (isStdout(stats)) return 'stdout'
  if (stats?.isFIFO() === true) {
    // To open it would wait for a reader, or end the input of one.
    accessSync(path, constants.W_OK)
    return 'pipe'
  }
  // Throws for a folder, and for a read-only file, even in a folder that is writable. Devices are opened as they are.
  if (stats !== undefined) closeSync(openSync(path, 'a'))
  if (stats?.isFile() === false) return 'overwrite'
  const temporary = besideOf(path)
  try {
    closeSync(openSync(temporary, 'wx'))
    rmSync(temporary)
    return 'rename'
  } catch (error) {
    if (stats === undefined) throw error
    return 'overwrite'
  }
}

/** Gives a file the owner, if this user may, and the mode of another one. */
function copyAccess({ uid, gid, mode }: Stats, path: string): void {
  try {
    chownSync(path, uid, gid)
  } catch {
    // It is this user's file from now on.
  }
  chmodSync(path, mode & 0o7777)
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

/** Whether it is standard output, also by another name such as /dev/stdout. A socket cannot be opened by its name. */
function isStdout(stats: Stats | undefined): boolean {
  if (stats === undefined || stats.isCharacterDevice()) return false
  const { dev, ino } = fstatSync(STDOUT)
  return stats.dev === dev && stats.ino === ino
}

/** A short name for a file in the same folder: the file itself may have a name of the greatest length. */
function besideOf(path: string): string {
  return join(dirname(path), `.report-${randomBytes(6).toString('hex')}`)
}

/** The path of the file to which links lead, which need not exist yet: a link stays a link. */
function endOfLinks(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if (!isLink(path)) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return join(realpathSync(dirname(path)), basename(path))
    }
    return endOfLinks(resolve(dirname(path), readlinkSync(path)))
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

/** Waits for a reader without blocking the process, so that a signal can end it. */
async function writeToReader(path: string, text: string): Promise<void> {
  const descriptor = await openForReader(path)
  await new Promise<void>((written, failed) => {
    const socket = new Socket({ fd: descriptor, readable: false, writable: true })
    socket.on('error', failed)
    socket.end(text, () => {
      written()
    })
  })
}

async function openForReader(path: string): Promise<number> {
  for (;;) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error
    }
    await delay(READER_PAUSE_MS)
  }
}
