import { generateKeyPairSync, pbkdf2Sync } from 'node:crypto'
import { inspect } from 'node:util'
import type * as Library from '../lib'
import type * as errors from '../lib/errors'
import {
  ArgumentRangeError,
  ArgumentTypeError,
  ArgumentValueError,
  SocketOptionError,
  SocketTunerError,
  configure,
  getOption,
  queueSizes,
  setOption,
  tune,
  type WritableOption,
} from '../lib'
import { errorCodes } from '../lib/errors'
import { warningCodes } from '../lib/warnings'
import { failureOf, listeningSocket, tcpSocket } from './sockets'

/** Returns Node's error for an invalid whole number, with its name replaced by TCP_USER_TIMEOUT. */
function nodeRefuses(value: unknown): Error & Record<string, unknown> {
  const error = failureOf(() => pbkdf2Sync('', '', value as number, 1, 'sha256'))
  error.message = error.message
    .replace('"iterations"', '"TCP_USER_TIMEOUT"')
    .replace('>= 1', '>= 0')
  return error
}

/** Returns this library's error for the same value, from an option with the same range. */
function weRefuse(value: unknown): Error & Record<string, unknown> {
  return failureOf(() => {
    setOption(tcpSocket(), 'TCP_USER_TIMEOUT', value as number)
  })
}

/** Returns the own enumerable properties. */
function fieldsOf(error: Error): Record<string, unknown> {
  return Object.fromEntries(Object.entries(error))
}

class Custom {
  readonly field = 1
}

const notNumbers: readonly unknown[] = [
  undefined,
  null,
  true,
  '',
  'text',
  "it's quoted",
  Symbol('name'),
  1n,
  {},
  [],
  [1, 2],
  Object.create(null) as unknown,
  new Date(0),
  new Custom(),
  new Map(),
  new Uint8Array(3),
  function named() {
    return 1
  },
  class Named {
    readonly field = 1
  },
]

describe('an argument of the wrong type', () => {
  it.each(notNumbers)("is refused with Node's own message: %p", (value) => {
    const theirs = nodeRefuses(value)
    const ours = weRefuse(value)
    expect(ours).toMatchObject({ name: theirs.name, code: theirs.code })
    expect(ours.code).toBe('ERR_INVALID_ARG_TYPE')
    expect(ours.message).toBe(theirs.message)
    expect(ours).toBeInstanceOf(TypeError)
    expect(ours).toBeInstanceOf(ArgumentTypeError)
  })

  it.each([
    ['a text that is cut short', 'a text that is too long to be shown in full'],
    [
      'a function without a name',
      (
        () => () =>
          1
      )(),
    ],
  ])("is refused with Node's own message: %s", (_what, value) => {
    expect(weRefuse(value).message).toBe(nodeRefuses(value).message)
  })

  // Node says "property" if the name has a dot.
  it('within another one is called a property, as in Node', () => {
    const theirs = failureOf(() => generateKeyPairSync('rsa', { modulusLength: 'x' as never }))
    const ours = failureOf(() => {
      setOption(tcpSocket(), 'SO_LINGER', { enabled: true, seconds: 'x' as never })
    })
    expect(ours.message).toBe(theirs.message.replace('options.modulusLength', 'SO_LINGER.seconds'))
  })
})

describe('a number out of range', () => {
  it.each([NaN, Infinity, -Infinity, 0.5, -0.5, 1e-300, -1, -(2 ** 31), 2 ** 31, 2 ** 32])(
    "is refused with Node's own message: %d",
    (value) => {
      const theirs = nodeRefuses(value)
      const ours = weRefuse(value)
      expect(ours).toMatchObject({ name: theirs.name, code: theirs.code })
      expect(ours.code).toBe('ERR_OUT_OF_RANGE')
      expect(ours.message).toBe(theirs.message)
      expect(ours).toBeInstanceOf(RangeError)
      expect(ours).toBeInstanceOf(ArgumentRangeError)
    },
  )

  // Node writes whole numbers beyond 2 ** 32 with underscores.
  it.each([2 ** 32 + 5, -(2 ** 40), Number.MAX_SAFE_INTEGER])(
    "is refused with Node's own message, whose number has underscores: %d",
    (value) => {
      expect(weRefuse(value).message).toBe(nodeRefuses(value).message)
    },
  )

  it('is refused with the bigint in the message if it has 64 bits', () => {
    for (const value of [-1n, 2n ** 64n]) {
      const error = failureOf(() => {
        setOption(tcpSocket(), 'SO_MAX_PACING_RATE', value)
      })
      expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
      expect(error.message).toBe(
        'The value of "SO_MAX_PACING_RATE" is out of range. ' +
          `It must be >= 0n && <= 18446744073709551615n. Received ${String(value)}n`,
      )
    }
  })

  it.each([
    ['a string', 'TCP_CONGESTION', 'x'.repeat(16), '"TCP_CONGESTION.length"', 16],
    ['bytes', 'IP_OPTIONS', new Uint8Array(41), '"IP_OPTIONS.length"', 41],
    ['a program', 'SO_ATTACH_FILTER', [], '"SO_ATTACH_FILTER.length"', 0],
  ] as const)('is reported as the length of %s', (_what, name, value, argument, length) => {
    const error = failureOf(() => {
      setOption(tcpSocket(), name as WritableOption, value as never)
    })
    expect(error.code).toBe('ERR_OUT_OF_RANGE')
    expect(error.message).toMatch(
      new RegExp(`^The value of ${argument} is out of range\\..* Received ${String(length)}$`),
    )
  })

  it('is reported with the member of an object', () => {
    const cases: readonly [name: WritableOption, value: unknown, part: string][] = [
      ['SO_LINGER', { enabled: true, seconds: 2 ** 31 }, 'SO_LINGER.seconds'],
      ['IP_LOCAL_PORT_RANGE', { min: 0, max: 65_536 }, 'IP_LOCAL_PORT_RANGE.max'],
      ['IP_LOCAL_PORT_RANGE', { min: 2, max: 1 }, 'IP_LOCAL_PORT_RANGE.min'],
      ['SO_TXTIME', { clockId: 0, flags: -1 }, 'SO_TXTIME.flags'],
      ['SO_ATTACH_FILTER', [{ code: 6, jt: 0, jf: 0, k: -1 }], 'SO_ATTACH_FILTER[0].k'],
    ]
    for (const [name, value, part] of cases) {
      const error = failureOf(() => {
        setOption(tcpSocket(), name, value as never)
      })
      expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
      expect(error.message).toContain(`The value of "${part}" is out of range`)
    }
  })
})

describe('a value that is not permitted', () => {
  it('is refused with ERR_INVALID_ARG_VALUE', () => {
    const error = failureOf(() => {
      setOption(tcpSocket(), 'TCP_CONGESTION', 'reno\0')
    })
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toBeInstanceOf(ArgumentValueError)
    expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
    expect(error.message).toBe(
      "The argument 'TCP_CONGESTION' must be a string without null bytes. Received 'reno\\x00'",
    )
  })

  it('is called a property if it is within another one, as in Node', () => {
    const theirs = failureOf(() =>
      generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'x' as never }),
    )
    const ours = failureOf(() => {
      configure({ hazards: 'x' as never })
    })
    const [word] = theirs.message.split("'")
    expect(ours.message.split("'")[0]).toBe(word)
  })
})

describe('a call that the kernel refuses', () => {
  it('throws an error with the fields of a Node error and those of the option', () => {
    const fd = tcpSocket()
    const error = failureOf(() => {
      setOption(fd, 'TCP_CONGESTION', 'no_such_algo')
    })
    expect(error).toBeInstanceOf(SocketOptionError)
    expect(error).toBeInstanceOf(SocketTunerError)
    expect(error).toBeInstanceOf(Error)
    expect(error.name).toBe('SocketOptionError')
    expect(fieldsOf(error)).toEqual({
      code: 'ENOENT',
      errno: -2,
      syscall: 'setsockopt',
      option: 'TCP_CONGESTION',
      level: 'IPPROTO_TCP',
      fd,
      value: 'no_such_algo',
    })
    expect(error.message).toMatch(
      new RegExp(`^setsockopt TCP_CONGESTION on fd ${String(fd)}: ENOENT`),
    )
    expect(error.stack).toContain('SocketOptionError: setsockopt TCP_CONGESTION')
    expect(Object.keys(error)).not.toContain('name')
  })

  it('throws an error without a value if it was a read', () => {
    const fd = tcpSocket()
    const error = failureOf(() => getOption(fd, 'IP_MTU'))
    expect(fieldsOf(error)).toEqual({
      code: 'ENOTCONN',
      errno: -107,
      syscall: 'getsockopt',
      option: 'IP_MTU',
      level: 'IPPROTO_IP',
      fd,
    })
  })

  it('throws an error with these fields from queueSizes() too', () => {
    const fd = listeningSocket()
    expect(fieldsOf(failureOf(() => queueSizes(fd)))).toEqual({
      code: 'EINVAL',
      errno: -22,
      syscall: 'ioctl',
      fd,
    })
  })

  // Without `refused` in the row, the message would blame a missing privilege.
  it('throws an error that names a locked filter as the cause', () => {
    const fd = tcpSocket()
    setOption(fd, 'SO_LOCK_FILTER', true)
    const error = failureOf(() => {
      setOption(fd, 'SO_LOCK_FILTER', false)
    })
    expect(error).toMatchObject({ code: 'EPERM', option: 'SO_LOCK_FILTER', value: false })
    expect(error.message).toContain('cannot be switched off')
  })
})

describe('a secret', () => {
  const text = 'correct-horse-16'
  const bytes = Buffer.from(text)

  function expectHidden(error: Error): void {
    const shown = `${inspect(error, { depth: Infinity, showHidden: true })} ${JSON.stringify(error)}`
    for (const form of [text, bytes.toString('hex'), [...bytes].join(), [...bytes].join(', ')]) {
      expect(shown).not.toContain(form)
    }
    expect(shown).not.toMatch(/63 6f 72 72 65 63 74/)
  }

  const attempts: readonly [what: string, name: WritableOption, value: unknown][] = [
    ['the text', 'TCP_FASTOPEN_KEY', text],
    ['an array', 'TCP_FASTOPEN_KEY', [...bytes]],
    ['bytes of another kind', 'TCP_FASTOPEN_KEY', new Uint16Array(bytes)],
    ['too many bytes', 'TCP_FASTOPEN_KEY', Buffer.concat([bytes, bytes, bytes])],
    ['bytes that the kernel refuses', 'TCP_FASTOPEN_KEY', Buffer.concat([bytes, Buffer.alloc(1)])],
    ['a key that is text', 'TCP_MD5SIG', { address: '127.0.0.1', key: text }],
    ['a key that is an array', 'TCP_MD5SIG', { address: '127.0.0.1', key: [...bytes] }],
    ['a key for the wrong family', 'TCP_MD5SIG', { address: '::1', key: bytes }],
    ['a key for no address', 'TCP_MD5SIG', { address: 'localhost', key: bytes }],
    ['a key without an address', 'TCP_MD5SIG', { key: bytes }],
    ['bytes for the whole value', 'TCP_MD5SIG', bytes],
  ]
  it.each(attempts)('is not in the error if it was passed as %s: %s', (_what, name, value) => {
    const fd = tcpSocket()
    expectHidden(
      failureOf(() => {
        setOption(fd, name, value as never)
      }),
    )
    expectHidden(failureOf(() => tune(fd, { TCP_NODELAY: true, [name]: value } as never)))
  })

  it.each([
    ['text for the whole value', text],
    ['key and address the wrong way round', { address: text, key: '127.0.0.1' }],
  ])('is not in the error if it was passed as %s', (_what, value) => {
    expectHidden(
      failureOf(() => {
        setOption(tcpSocket(), 'TCP_MD5SIG', value as never)
      }),
    )
  })

  it('is never read', () => {
    const fd = tcpSocket()
    setOption(fd, 'TCP_FASTOPEN_KEY', bytes)
    const error = failureOf(() => getOption(fd, 'TCP_FASTOPEN_KEY' as never))
    expect(error).toMatchObject({ code: 'ERR_SOCKET_TUNER_NOT_READABLE' })
    expectHidden(error)
  })
})

describe('the tables of codes', () => {
  it.each([...Object.entries(errorCodes), ...Object.entries(warningCodes)])(
    'have a meaning and a fix for %s',
    (code, { meaning, fix }) => {
      expect(code).toMatch(/^(ERR_)?SOCKET_TUNER_[A-Z_]+$/)
      expect(meaning).toMatch(/\w.*\.$/)
      expect(fix).toMatch(/\w.*\.$/)
    },
  )
})

describe('on a platform without the addon,', () => {
  /** Loads the library as on Windows. */
  function libraryOnWindows(): typeof Library {
    let library: typeof Library | undefined
    const platform = Object.getOwnPropertyDescriptor(process, 'platform') ?? {}
    Object.defineProperty(process, 'platform', { ...platform, value: 'win32' })
    try {
      jest.isolateModules(() => {
        library = jest.requireActual('../lib')
      })
    } finally {
      Object.defineProperty(process, 'platform', platform)
    }
    if (library === undefined) throw new Error('not loaded')
    return library
  }

  it('every function throws a coded error', () => {
    const windows = libraryOnWindows()
    const unsupported = { code: 'ERR_SOCKET_TUNER_UNSUPPORTED' }
    for (const name of windows.optionNames) {
      expect(windows.describeOption(name).number).toBeUndefined()
    }
    expect(failureOf(() => windows.getOption(5, 'SO_TYPE'))).toMatchObject(unsupported)
    expect(
      failureOf(() => {
        windows.setOption(5, 'TCP_NODELAY', true)
      }),
    ).toMatchObject(unsupported)
    expect(failureOf(() => windows.tcpInfo(5))).toMatchObject(unsupported)
  })

  it('tune() reports every setting as unsupported', () => {
    expect(libraryOnWindows().tune(5, { TCP_NODELAY: true })).toMatchObject({
      TCP_NODELAY: { status: 'unsupported', requested: true },
    })
  })

  it('queueSizes() throws a coded error too', () => {
    expect(failureOf(() => libraryOnWindows().queueSizes(5))).toMatchObject({
      code: 'ERR_SOCKET_TUNER_UNSUPPORTED',
    })
  })
})

describe('instanceof', () => {
  let copy: typeof errors | undefined
  jest.isolateModules(() => {
    copy = jest.requireActual('../lib/errors')
  })

  it('recognizes errors of another copy of the library', () => {
    if (copy === undefined) throw new Error('not loaded')
    expect(copy.SocketTunerError).not.toBe(SocketTunerError)
    const general = new copy.SocketTunerError('general', { code: 'EPERM' })
    const ofOption = new copy.SocketOptionError('of an option', { code: 'EPERM' })
    expect(general).toBeInstanceOf(SocketTunerError)
    expect(general).not.toBeInstanceOf(SocketOptionError)
    expect(ofOption).toBeInstanceOf(SocketTunerError)
    expect(ofOption).toBeInstanceOf(SocketOptionError)
  })

  it.each([[new Error('other')], [null], [undefined], ['text'], [{ code: 'EPERM' }]])(
    'does not recognize %p',
    (value) => {
      expect(value instanceof SocketTunerError).toBe(false)
      expect(value instanceof SocketOptionError).toBe(false)
    },
  )

  it('recognizes only the instances of a derived class', () => {
    class OfUser extends SocketTunerError {}
    class OfUsersOption extends SocketOptionError {}
    const plain = new SocketOptionError('plain', { code: 'EPERM' })
    expect(plain).not.toBeInstanceOf(OfUser)
    expect(plain).not.toBeInstanceOf(OfUsersOption)
    expect(new OfUser('own', { code: 'EPERM' })).toBeInstanceOf(OfUser)
    expect(new OfUsersOption('own', { code: 'EPERM' })).toBeInstanceOf(SocketTunerError)
  })
})
