# frozen_string_literal: true

require "json"
require "open3"
require "timeout"

# Credentials from keyfob, which signs in once and hands every program a valid one: docs/protocol.md of keyfob.
module Keyfob
  SECRET = %w[authorization x-api-key].freeze

  # Why there is no credential: what failed, why, and one thing to do. `id` and `exit_code` are stable: 4 means that a person
  # has to sign in, 6 that asking later is right. `reason` is keyfob's word for the cause.
  class Error < StandardError
    attr_reader :id, :reason, :what, :why, :hint, :exit_code

    def initialize(id:, what:, why:, hint:, exit_code:, cause: nil, **)
      super("#{what}: #{why} (hint: #{hint})")
      @id, @reason, @what, @why, @hint, @exit_code = id, cause, what, why, hint, exit_code
    end
  end

  # What to send. Neither `inspect` nor `to_s` shows it. Ask for another one before every request.
  class Credential
    attr_reader :headers, :token, :kind, :source, :handle, :profile, :expires_at, :expires_in, :warning

    def initialize(answer)
      @headers = answer["headers"].transform_values { |values| values.join(", ") }.freeze
      @token, @kind, @source, @handle, @profile, @expires_at, @expires_in, @warning =
        answer.values_at("token", "kind", "source", "handle", "profile", "expires_at", "expires_in", "warning")
    end

    # Puts the headers on a request of Net::HTTP. One that is a list, as anthropic-beta is, is added to what is sent anyway.
    def put_on(request)
      headers.each do |name, value|
        there = SECRET.include?(name.downcase) ? nil : request[name]
        request[name] = value unless there
        request[name] = "#{there}, #{value}" if there && !there.split(",").map(&:strip).include?(value)
      end
      request
    end

    def inspect
      "#<Keyfob::Credential #{kind} of #{profile.inspect} from #{source}, handle #{handle.inspect}>"
    end
    alias to_s inspect

    def to_json(*words)
      inspect.to_json(*words)
    end
  end

  # Asks one keyfob, which is started when it is first needed and again when it has ended. For any number of threads; a process
  # that was forked starts its own.
  class Client
    Child = Struct.new(:input, :waiting, :process, :owner)

    # The program is the first in an absolute directory of PATH, if it is not given. Never take it from a variable that a
    # repository can set.
    def initialize(profile: nil, environment: nil, program: nil)
      @words = [program || find_program, "serve", "--stdio"]
      @words << "--profile=#{profile}" if profile
      @words << "--environment=#{environment}" if environment
      @lock, @number = Mutex.new, 0
    end

    # A credential for a request to this address, renewed if that is due. `rejected` is the handle of one that was answered
    # with 401.
    def get(uri = nil, profile: nil, kind: "access", min_valid: 0, rejected: nil, wait: 10)
      question = { v: 1, uri: uri&.to_s, profile: profile, kind: kind, min_valid: min_valid, rejected: rejected, wait: wait }
      2.times do
        answer = ask(question, wait + 20) or next
        raise Error.new(**answer["error"].transform_keys(&:to_sym)) if answer["error"]

        return Credential.new(answer)
      end
      fail_with("keyfob-ended", "it has ended without an answer", "see its standard error, or try `keyfob token`", 70)
    end

    # The token alone.
    def token(uri = nil)
      get(uri).token
    end

    # Sends a request by the block, which is given a credential and returns the response, and after a 401 once more with another.
    def with_credential(uri)
      credential = get(uri)
      response = yield credential
      return response unless response.code.to_s == "401" && credential.handle

      yield get(uri, profile: credential.profile, rejected: credential.handle)
    end

    # Ends the process. It ends with this one too.
    def close
      @lock.synchronize { @child&.input&.close.tap { @child = nil } }
    end

    def inspect
      "#<Keyfob::Client>"
    end
    alias to_s inspect

    private

    def ask(question, seconds)
      box = Queue.new
      child = @lock.synchronize do
        # What another process has started answers that one.
        (@child.input.close; @child = nil) if @child && @child.owner != Process.pid
        @child ||= start
        @child.waiting[@number += 1] = box
        @child.input.write("#{JSON.generate(question.merge(id: @number))}\n")
        @child
      rescue Errno::EPIPE, IOError
        @child = nil
        return nil
      end
      Timeout.timeout(seconds) { box.pop }
    rescue Timeout::Error
      forget(child)
      fail_with("keyfob-silent", "no answer came within #{seconds} s", "ask again", 6)
    end

    # What is silent is ended, and gives way to another one. What it has started may hold its output for long.
    def forget(child)
      @lock.synchronize { @child = nil if @child.equal?(child) }
      child.input.close
      Process.kill(:KILL, child.process.pid)
    rescue Errno::ESRCH, IOError
      nil # It has ended meanwhile.
    end

    def start
      input, output, process = Open3.popen2(*@words)
      child = Child.new(input, {}, process, Process.pid)
      Thread.new do
        output.each_line { |line| answered(child, line) }
      ensure
        @lock.synchronize do
          @child = nil if @child.equal?(child)
          child.waiting.each_value { |box| box << nil }
        end
      end
      child
    rescue SystemCallError => e
      fail_with("keyfob-missing", e.message, "install keyfob, or give its path as `program`", 2)
    end

    def answered(child, line)
      answer = JSON.parse(line)
      child.waiting.delete(answer["id"])&.push(answer) if answer.is_a?(Hash)
    rescue JSON::ParserError
      nil # It is none, and nobody's: who waits for one is told when its time is over.
    end

    def find_program
      places = ENV.fetch("PATH", "").split(File::PATH_SEPARATOR).select { |place| place.start_with?("/") }
      found = places.map { |place| File.join(place, "keyfob") }.find { |path| File.file?(path) && File.executable?(path) }
      found || fail_with("keyfob-missing", "it is not in PATH", "install keyfob, or give its path as `program`", 2)
    end

    def fail_with(id, why, hint, exit_code)
      raise Error.new(id: id, what: "keyfob gives no credential", why: why, hint: hint, exit_code: exit_code)
    end
  end
end
