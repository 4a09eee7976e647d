Gem::Specification.new do |gem|
  gem.name = "keyfob"
  gem.version = "0.1.0"
  gem.summary = "Credentials from keyfob: signs in once, and hands every program a valid one"
  gem.authors = ["The keyfob authors"]
  gem.licenses = ["MIT", "Apache-2.0"]
  gem.homepage = "https://project.invalid/keyfob"
  gem.required_ruby_version = ">= 2.7"
  gem.files = ["lib/keyfob.rb", "README.md", "LICENSE-APACHE", "LICENSE-MIT"]
end
