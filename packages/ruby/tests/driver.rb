# frozen_string_literal: true

# Does what it is told, a line of JSON each: the tests of keyfob run the same with the packages of all languages.
require "net/http"
require "pp"
require_relative "../lib/keyfob"

CLIENT = Keyfob::Client.new(program: ARGV.fetch(0))

def told
  credential = yield
  names = %i[headers token kind source handle profile expires_at expires_in warning]
  names.to_h { |name| [name, credential.public_send(name)] }.reject { |name, value| name == :warning && value.nil? }
rescue Keyfob::Error => e
  { error: { id: e.id, cause: e.reason, what: e.what, why: e.why, hint: e.hint, exit_code: e.exit_code }.compact }
end

def get(question = {})
  question = question.transform_keys(&:to_sym)
  told { CLIENT.get(question.delete(:uri), **question) }
end

def fetch(url)
  uri = URI(url)
  response = CLIENT.with_credential(uri) do |credential|
    Net::HTTP.start(uri.host, uri.port, nil) { |http| http.request(credential.put_on(Net::HTTP::Get.new(uri))) }
  end
  response.code.to_i
end

def forked(question)
  reading, writing = IO.pipe
  fork do
    writing.write(JSON.generate(get(question)))
    writing.close
    exit!(0)
  end
  writing.close
  JSON.parse(reading.read)
end

$stdin.each_line do |line|
  act, *words = JSON.parse(line)
  said =
    case act
    when "get" then get(*words)
    when "many" then Array.new(words[0]) { Thread.new { get } }.map(&:value)
    when "fetch" then fetch(words[1])
    when "fork" then forked(words[0])
    else
      credential = CLIENT.get
      [CLIENT.inspect, CLIENT.to_s, credential.inspect, credential.to_s, JSON.generate([credential]), credential.pretty_inspect]
    end
  puts JSON.generate(said)
  $stdout.flush
end
