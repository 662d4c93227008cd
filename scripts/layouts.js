'use strict'

/**
 * Generates lib/kernel/layouts.ts: the offsets of the members of structs that TypeScript shares with native code or the
 * kernel, and shared constants. The compiler determines the offsets; the names of the library's own structs come from
 * the headers in native/kernel/. With --check, writes nothing and fails if the file differs. `--native FOLDER` reads
 * another folder than native/.
 */
const { execFileSync } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join, resolve } = require('node:path')
const { parseArgs } = require('node:util')
const { format, resolveConfig } = require('prettier')

const FILE = resolve(__dirname, '../lib/kernel/layouts.ts')

/** Structs of the library, with all members. `like`: the kernel's struct with the same member names after a prefix. */
const ownStructs = [
  { name: 'tcpInfoLayout', struct: 'TcpInfo', file: 'tcp_info.h', like: ['tcp_info', 'tcpi_'] },
  { name: 'socketGroupLayout', struct: 'SocketGroup', file: 'group_table.h' },
  { name: 'endedSocketLayout', struct: 'EndedSocket', file: 'ended_sockets.h' },
  { name: 'listedSocketLayout', struct: 'ListedSocket', file: 'socket_list.h' },
]

/** Enumerations of the library. */
const ownNumbers = [
  { name: 'batchSlots', enumeration: 'Slot', file: 'batch.h' },
  { name: 'batchFlags', enumeration: 'Flag', file: 'batch.h' },
  { name: 'pollerFields', enumeration: 'PollerField', file: 'poller.h' },
  { name: 'pollerKinds', enumeration: 'PollerKind', file: 'poller.h' },
  { name: 'dumpGroupBy', enumeration: 'GroupBy', file: 'sock_diag_dump.h' },
  { name: 'dumpFamilies', enumeration: 'Families', file: 'sock_diag_dump.h' },
  { name: 'entriesLeft', enumeration: 'EntryLeft', file: 'ended_sockets.h' },
]

/** Structs of the system's headers that TypeScript reads or writes. */
const systemStructs = [
  { name: 'lingerLayout', struct: 'linger', prefix: 'l_', members: ['onoff', 'linger'] },
  { name: 'credentialsLayout', struct: 'ucred', members: ['pid', 'uid', 'gid'] },
  { name: 'transmitTimeLayout', struct: 'sock_txtime', members: ['clockid', 'flags'] },
  { name: 'bpfInstructionLayout', struct: 'sock_filter', members: ['code', 'jt', 'jf', 'k'] },
  {
    name: 'ipv4SocketLayout',
    struct: 'sockaddr_in',
    prefix: 'sin_',
    members: ['family', 'port', 'addr'],
  },
  {
    name: 'ipv6SocketLayout',
    struct: 'sockaddr_in6',
    prefix: 'sin6_',
    members: ['family', 'port', 'addr'],
  },
  {
    name: 'md5SignatureLayout',
    struct: 'tcp_md5sig',
    prefix: 'tcpm_',
    members: ['addr', 'keylen', 'key'],
  },
  { name: 'diagOperationLayout', struct: 'inet_diag_bc_op', members: ['code', 'yes', 'no'] },
  {
    name: 'diagConditionLayout',
    struct: 'inet_diag_hostcond',
    members: ['family', 'prefix_len', 'port'],
  },
]

const systemNumbers = [
  { name: 'diagCodes', prefix: 'INET_DIAG_BC_', members: ['S_GE', 'S_LE', 'S_COND', 'D_COND'] },
]

/** Arrays of 32-bit words, whose indexes an enumeration names. */
const systemArrays = [
  {
    name: 'memoryInfoLayout',
    prefix: 'SK_MEMINFO_',
    members: [
      ...['RMEM_ALLOC', 'RCVBUF', 'WMEM_ALLOC', 'SNDBUF', 'FWD_ALLOC', 'WMEM_QUEUED', 'OPTMEM'],
      ...['BACKLOG', 'DROPS'],
    ],
    count: 'VARS',
  },
]

/** Returns the source of a program that prints each layout: see layouts.h. */
function programFor(native) {
  const body = []
  const checks = []
  const print = (name, of, members, size) => {
    body.push(`Begin("${name}", "${of}");`, ...members, `End(${size});`)
  }
  for (const { name, struct, file, like } of ownStructs) {
    const members = membersOf(native, file, struct)
    const all = members.map((member) => memberOf(struct, member, member))
    print(name, `struct ${struct} of native/kernel/${file}`, all, `sizeof(${struct})`)
    const sum = members.map((member) => `sizeof(${struct}::${member})`).join(' + ')
    checks.push(`static_assert(sizeof(${struct}) == ${sum}, "${struct}: a member is not seen");`)
    if (like !== undefined) checks.push(...members.map((member) => sameAs(struct, member, like)))
  }
  for (const { name, struct, prefix = '', members } of systemStructs) {
    const all = members.map((member) => memberOf(struct, `${prefix}${member}`, member))
    print(name, `struct ${struct}`, all, `sizeof(${struct})`)
  }
  for (const { name, prefix, members, count } of systemArrays) {
    const all = members.map((member) => `Word("${camel(member)}", ${prefix}${member});`)
    print(
      name,
      `The words of an array, by their index ${prefix}*`,
      all,
      `sizeof(uint32_t) * ${prefix}${count}`,
    )
  }
  for (const { name, enumeration, file } of ownNumbers) {
    const all = numbersOf(native, file, enumeration).map(
      (member) => `Number("${camel(member.slice(1))}", ${member});`,
    )
    print(name, `enum ${enumeration} of native/kernel/${file}`, all, 0)
  }
  for (const { name, prefix, members } of systemNumbers) {
    const all = members.map((member) => `Number("${camel(member)}", ${prefix}${member});`)
    print(name, `${prefix}*`, all, 0)
  }
  const files = new Set([...ownStructs, ...ownNumbers].map(({ file }) => file))
  return [
    `#include "${join(__dirname, 'layouts.h')}"`,
    ...[...files].map((file) => `#include "${join(native, 'kernel', file)}"`),
    'using namespace socket_tuner::kernel;',
    ...checks,
    'int main() {',
    ...body,
    '}',
  ].join('\n')
}

function memberOf(struct, member, name) {
  return `Member<decltype(${struct}::${member})>("${camel(name)}", offsetof(${struct}, ${member}));`
}

/** Returns a check that fails to compile if the kernel's header has the member at another offset. */
function sameAs(struct, member, [theirs, prefix]) {
  const their = `${prefix}${member}`
  return `
template <typename T, typename = void> constexpr bool is_same_${member} = true;
template <typename T> constexpr bool is_same_${member}<T, std::void_t<decltype(T::${their})>> =
    offsetof(T, ${their}) == offsetof(${struct}, ${member}) && sizeof(T::${their}) == sizeof(${struct}::${member});
static_assert(is_same_${member}<${theirs}>, "${struct}::${member} is not as in struct ${theirs}");`
}

/** Returns the names in the braces after `head`: splits the body by `separator`, and finds the name in each part by `last`. */
function namesIn(native, file, head, separator, last) {
  const text = readFileSync(join(native, 'kernel', file), 'utf8').replaceAll(/\/\/.*/g, '')
  const [, body] = new RegExp(`^${head}[^{;]*\\{([^}]*)\\}`, 'm').exec(text) ?? []
  if (body === undefined) throw new Error(`${file} has no ${head}`)
  return body
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const [, name] = last.exec(part) ?? []
      if (name === undefined) throw new Error(`${file}, ${head}: what is ${part}?`)
      return name
    })
}

function membersOf(native, file, struct) {
  return namesIn(native, file, `struct ${struct}`, ';', /^\w+ (\w+)(?:\[\d+\])?$/)
}

function numbersOf(native, file, enumeration) {
  return namesIn(native, file, `enum ${enumeration}`, ',', /^(\w+)(?: = \d+)?$/)
}

/** Converts `snd_mss`, `RMEM_ALLOC` and `ReadBack` to camel case. */
function camel(name) {
  const words = name === name.toUpperCase() ? name.toLowerCase() : name
  const joined = words.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase())
  return `${joined[0].toLowerCase()}${joined.slice(1)}`
}

/** Compiles and runs the program, and returns its output. */
function layoutsOf(native) {
  const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-layouts-'))
  try {
    const source = join(folder, 'layouts.cc')
    writeFileSync(source, programFor(native))
    const flags = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-o', join(folder, 'layouts')]
    execFileSync(process.env.CXX ?? 'c++', [...flags, source], { stdio: ['ignore', 2, 2] })
    const text = execFileSync(join(folder, 'layouts'), { encoding: 'utf8' })
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function layoutsFile(native) {
  const layouts = layoutsOf(native)
  const kinds = new Set(layouts.flatMap(({ members }) => members.map(([, kind]) => kind)))
  const types = ['u8', 'u16', 'u32', 'u64', 'i32'].filter((kind) => kinds.has(kind))
  const text = [
    '/**',
    ' * The offsets of struct members, in bytes, and constants shared with native code, on Linux. Generated by',
    ' * `npm run layouts` from native/kernel/ and the headers of the system: edit the structs there, not this file.',
    ' */',
    `import type { ${[...types.map(typeOf), 'ByteRun'].join(', ')} } from './bytes'`,
    ...layouts.flatMap(layoutText),
    '',
  ].join('\n')
  return format(text, { ...(await resolveConfig(FILE)), filepath: FILE })
}

function typeOf(kind) {
  return kind.toUpperCase()
}

function layoutText({ name, of, members, size }) {
  return [
    '',
    `/** ${of}. */`,
    `export const ${name} = {`,
    ...(size === 0 ? [] : [`size: ${size},`]),
    ...members
      .filter(([key]) => key !== 'padding')
      .map(([key, kind, value, length]) => {
        if (key === 'size') throw new Error(`${name} has a member called size`)
        if (kind === 'number') return `${key}: ${value},`
        if (kind === 'bytes') return `${key}: { at: ${value}, size: ${length} } as ByteRun,`
        return `${key}: ${value} as ${typeOf(kind)},`
      }),
    '} as const',
  ]
}

async function main() {
  const { values } = parseArgs({
    options: { check: { type: 'boolean' }, native: { type: 'string' } },
  })
  const text = await layoutsFile(resolve(values.native ?? join(__dirname, '../native')))
  if (values.check !== true) {
    writeFileSync(FILE, text)
  } else if (readFileSync(FILE, 'utf8') !== text) {
    console.error('lib/kernel/layouts.ts is out of date: run npm run layouts')
    process.exitCode = 1
  }
}

void main()
