/** A file that is written at the end of a long command, and that is found to be writable at its beginning. */
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

/** The time between two looks for a reader of a named pipe, ms: the kernel reports none. */
const READER_PAUSE_MS = 100
const STDOUT = 1

/**
 * How the file is written:
 *
 * - `rename`: as a file beside it, which then takes its place, so that it is never empty or half written.
 * - `overwrite`: in place, where its folder takes no other file.
 * - `stdout`: to standard output, which it is.
 * - `pipe`: to the reader of a named pipe, once there is one.
 */
type Way = 'rename' | 'overwrite' | 'stdout' | 'pipe'

export class ReportFile {
  /** Where links lead. */
  readonly #path: string
  readonly #way: Way
  /** Undefined for a new file. */
  readonly #earlier: Stats | undefined

  /** Changes nothing. @throws what a write would throw: EACCES, EISDIR, ENOENT, EROFS and others */
  constructor(path: string) {
    const stats = statOf(path)
    // What is no file has no other path: that of /dev/fd/3 may lead to a pipe without a name.
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
  // Throws for a folder, and for a file that is not to be written though its folder is. Devices are opened as they are.
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

/** Also by another name, such as /dev/stdout, and for a socket, which cannot be opened by its name. */
function isStdout(stats: Stats | undefined): boolean {
  if (stats === undefined || stats.isCharacterDevice()) return false
  const { dev, ino } = fstatSync(STDOUT)
  return stats.dev === dev && stats.ino === ino
}

/** A name for a file in the same folder, which is short: that of the file may be as long as a name can be. */
function besideOf(path: string): string {
  return join(dirname(path), `.report-${randomBytes(6).toString('hex')}`)
}

/** A link stays a link: the file it leads to is written, also one that does not exist yet. */
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

/** Waits for a reader without blocking the process, which a signal is to end. */
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
