import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Struct } from '../../lib/kernel/bytes'
import { credentialsLayout, lingerLayout } from '../../lib/kernel/layouts'

const root = join(__dirname, '..', '..')

/** Runs the check of `npm run layouts` on a copy of native/ in which `text` is replaced by `other`. */
function check(file?: string, text = '', other = ''): { status: number | null; said: string } {
  const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-'))
  try {
    cpSync(join(root, 'native', 'kernel'), join(folder, 'kernel'), { recursive: true })
    if (file !== undefined) {
      const header = join(folder, 'kernel', file)
      const before = readFileSync(header, 'utf8')
      expect(before.split(text)).toHaveLength(2)
      writeFileSync(header, before.replace(text, other))
    }
    const options = [join(root, 'scripts', 'layouts.js'), '--check', '--native', folder]
    const { status, stderr } = spawnSync(process.execPath, options, { encoding: 'utf8' })
    return { status, said: stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('lib/kernel/layouts.ts', () => {
  it('matches the layouts of the compiler for native/kernel/', () => {
    expect(check()).toEqual({ status: 0, said: '' })
  })

  it.each([
    ['a new member', 'group_table.h', '  uint8_t family;', '  uint8_t family;\n  uint8_t kind;'],
    ['a renamed member', 'group_table.h', 'uint16_t remote_port', 'uint16_t peer_port'],
    ['constants in another order', 'batch.h', 'kReadStatus,   //', 'kSpare,\n  kReadStatus,   //'],
    ['another constant', 'batch.h', 'kUnset = 64', 'kUnset = 128'],
    ['a missing last member of a kernel struct', 'tcp_info.h', '  uint32_t accecn_word;', ''],
  ])('is out of date with %s', (_what, file, text, other) => {
    const { status, said } = check(file, text, other)
    expect(status).toBe(1)
    expect(said).toMatch(/out of date|static assertion failed/)
  })

  it("cannot be written if TcpInfo differs from the kernel's", () => {
    const { status, said } = check('tcp_info.h', '  uint32_t rto;', '  uint32_t rtt_first;')
    expect(status).toBe(1)
    expect(said).toContain('out of date')
    const swapped = check(
      'tcp_info.h',
      '  uint32_t rto;\n  uint32_t ato;',
      '  uint32_t ato;\n  uint32_t rto;',
    )
    expect(swapped.said).toContain('TcpInfo::rto is not as in struct tcp_info')
    expect(swapped.status).not.toBe(0)
  })

  it('cannot be written from a struct with a member that the script cannot parse', () => {
    const { status, said } = check(
      'group_table.h',
      '  uint16_t local_port;',
      '  uint16_t local_port, more;',
    )
    expect(status).not.toBe(0)
    expect(said).toMatch(/what is|not seen/)
  })
})

describe('a struct', () => {
  it("reads back the written values, in the machine's byte order", () => {
    const struct = new Struct(new Uint8Array(lingerLayout.size))
    struct.setI32(lingerLayout.onoff, 1).setI32(lingerLayout.linger, -2)
    expect([...new Int32Array(struct.bytes.buffer)]).toEqual([1, -2])
    expect(struct.i32(lingerLayout.linger)).toBe(-2)
  })

  it('reads 0 for a member that the kernel did not provide', () => {
    const struct = new Struct(new Uint8Array(credentialsLayout.gid + 3).fill(0xff))
    expect(struct.i32(credentialsLayout.pid)).toBe(-1)
    expect(struct.u32(credentialsLayout.uid)).toBe(0xffff_ffff)
    expect(struct.u32(credentialsLayout.gid)).toBe(0)
  })
})
