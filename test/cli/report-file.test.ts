import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ReportFile } from '../../lib/cli/report-file'
import { Cli } from './run-cli'
import { httpTarget } from '../stress/servers'

describe('a report file', () => {
  let folder = ''
  let path = ''

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'report-'))
    path = join(folder, 'run.html')
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  it('does not exist until it is written', async () => {
    const file = new ReportFile(path)
    expect(readdirSync(folder)).toEqual([])
    await file.write('report')
    expect(readFileSync(path, 'utf8')).toBe('report')
    expect(readdirSync(folder)).toEqual(['run.html'])
  })

  it('replaces an earlier file, keeps its mode, and does not write to it', async () => {
    writeFileSync(path, 'earlier')
    chmodSync(path, 0o640)
    const other = join(folder, 'other')
    linkSync(path, other)
    await new ReportFile(path).write('report')
    expect(readFileSync(path, 'utf8')).toBe('report')
    expect(statSync(path).mode & 0o7777).toBe(0o640)
    // The earlier file was never open for writing.
    expect(readFileSync(other, 'utf8')).toBe('earlier')
  })

  it.each(['earlier', undefined])('is written to the target of a link (%s)', async (content) => {
    if (content !== undefined) writeFileSync(path, content)
    const link = join(folder, 'link')
    symlinkSync('run.html', link)
    await new ReportFile(link).write('report')
    expect(readFileSync(path, 'utf8')).toBe('report')
    expect(readdirSync(folder).toSorted()).toEqual(['link', 'run.html'])
  })

  it.each([
    ['a folder', '', 'EISDIR'],
    ['in a folder that does not exist', 'no/run.html', 'ENOENT'],
    ['in a file', 'file/run.html', 'ENOTDIR'],
    ['of a name that is too long', 'x'.repeat(300), 'ENAMETOOLONG'],
  ])('cannot be %s', (_what, name, code) => {
    writeFileSync(join(folder, 'file'), '')
    expect(() => new ReportFile(join(folder, name))).toThrow(
      expect.objectContaining({ code }) as Error,
    )
  })

  it('may have a name of the maximum length', async () => {
    const long = join(folder, 'x'.repeat(255))
    await new ReportFile(long).write('report')
    expect(readFileSync(long, 'utf8')).toBe('report')
  })

  it('leaves no temporary file if it cannot be written', async () => {
    const file = new ReportFile(path)
    mkdirSync(path)
    await expect(file.write('report')).rejects.toMatchObject({ code: 'EISDIR' })
    expect(readdirSync(folder)).toEqual(['run.html'])
  })

  it('is overwritten if no other file can be created in its folder', async () => {
    // This file has the name of the thread.
    const comm = '/proc/self/comm'
    if (!existsSync(comm)) return
    const before = readFileSync(comm, 'utf8')
    await new ReportFile(comm).write('report')
    try {
      expect(readFileSync(comm, 'utf8')).toBe('report\n')
    } finally {
      writeFileSync(comm, before)
    }
  })

  describe('that is a named pipe', () => {
    beforeEach(() => {
      execFileSync('mkfifo', [path])
    })

    it('waits for a reader, which receives everything', async () => {
      const text = 'report'.repeat(100_000)
      const written = new ReportFile(path).write(text)
      const reader = spawn('cat', [path])
      let read = ''
      reader.stdout.setEncoding('utf8').on('data', (part: string) => (read += part))
      await Promise.all([written, once(reader, 'close')])
      expect(read === text).toBe(true)
      expect(statSync(path).isFIFO()).toBe(true)
    })

    it('does not prevent the command from ending at a second signal', async () => {
      const { url } = await httpTarget()
      const cli = new Cli('stress', url, '--amount', '3', '--report', path)
      await cli.printed('VALID: ')
      // The command waits for a reader. The second of two equal signals may be lost.
      cli.child.kill('SIGINT')
      cli.child.kill('SIGTERM')
      expect([130, 143]).toContain((await cli.closed()).code)
    })
  })

  it('follows the text if it is standard output', async () => {
    const { url } = await httpTarget()
    const cli = new Cli('stress', url, '--amount', '3', '--report', '/dev/stdout')
    const { code, stdout } = await cli.closed()
    expect(code).toBe(0)
    expect(stdout).toMatch(/3 requests answered[^]*VALID: [^]*<!doctype html>[^]*<\/html>\s*$/i)
  })
})
