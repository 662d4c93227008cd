import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findSocketProcesses } from '../../lib/kernel/socket-processes'

/** Makes a folder like /proc, with processes whose descriptors are links to these. */
function procOf(processes: Readonly<Record<string, readonly string[]>>): string {
  const root = mkdtempSync(join(tmpdir(), 'socket-tuner-proc-'))
  for (const [name, links] of Object.entries(processes)) {
    mkdirSync(join(root, name, 'fd'), { recursive: true })
    writeFileSync(join(root, name, 'comm'), `program-${name}\n`)
    links.forEach((link, fd) => {
      symlinkSync(link, join(root, name, 'fd', String(fd)))
    })
  }
  return root
}

describe('findSocketProcesses()', () => {
  let root = ''
  afterEach(() => {
    rmSync(root, { recursive: true })
  })

  it('finds the process of each socket, and none for a socket that several hold', async () => {
    root = procOf({
      7: ['/dev/null', 'socket:[70]', 'socket:[70]', 'socket:[99]', 'pipe:[71]'],
      8: ['socket:[80]', 'socket:[99]'],
      self: ['socket:[70]'],
      irq: [],
    })
    const { byInode } = await findSocketProcesses(root)
    expect([...byInode]).toEqual([
      [70, { pid: 7, command: 'program-7' }],
      [99, undefined],
      [80, { pid: 8, command: 'program-8' }],
    ])
  })

  it('leaves out a process that it may not examine', async () => {
    root = procOf({ 7: ['socket:[70]'] })
    rmSync(join(root, '7', 'fd'), { recursive: true })
    expect((await findSocketProcesses(root)).byInode.size).toBe(0)
  })

  it('finds nothing without /proc', async () => {
    root = procOf({})
    expect((await findSocketProcesses(join(root, 'none'))).byInode.size).toBe(0)
  })
})
