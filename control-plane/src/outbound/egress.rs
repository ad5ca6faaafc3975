//! Requests to addresses that apps gave: https, and never into our own networks, whatever a name leads
//! to when it is looked up. A development server may reach those, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::RootCertStore;
use url::{Host, Url, form_urlencoded};

use super::{OutboundError, address, builder, exchange, roots};

/// A way out.
#[derive(Clone, Debug)]
pub struct Egress {
    client: Client,
    private_too: bool,
}

/// Looks names up and leaves out what is not public.
struct PublicOnly {
    private_too: bool,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let private_too = self.private_too;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fit: Vec<SocketAddr> =
                found.filter(|address| private_too || is_public(address.ip())).collect();
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

impl Egress {
    /// `private_too`: a development server, whose apps are on the same machine.
    ///
    /// # Errors
    /// When TLS cannot be set up. A system without certificates reaches nobody by https.
    pub fn new(private_too: bool) -> Result<Self, OutboundError> {
        let roots = roots(None).unwrap_or_else(|error| {
            tracing::warn!(%error, "apps cannot be told of logouts by https");
            RootCertStore::empty()
        });
        let client = builder(roots)?.dns_resolver(PublicOnly { private_too }).build();
        let client = client.map_err(|error| OutboundError::Client(error.to_string()))?;
        Ok(Self { client, private_too })
    }

    /// Posts a form and takes any answer of success.
    ///
    /// # Errors
    /// Why it was not taken, in words without secrets.
    pub async fn post_form(&self, to: &str, members: &[(&str, &str)]) -> Result<(), String> {
        let to = Url::parse(to).map_err(|_| "it has no address".to_owned())?;
        if !self.may_reach(&to) {
            return Err("its address is not one that is reached".to_owned());
        }
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
        let kind = "application/x-www-form-urlencoded";
        let request = self.client.post(to).header("content-type", kind).body(form);
        let answer = exchange(request).await.map_err(|error| error.to_string())?;
        match answer.status {
            status if status.is_success() => Ok(()),
            status => Err(format!("it answered {}", status.as_u16())),
        }
    }

    /// Names are judged when they are looked up; addresses here.
    fn may_reach(&self, to: &Url) -> bool {
        let mut bare = to.clone();
        bare.set_query(None);
        let schemes =
            address(bare.as_str()).is_ok() && (self.private_too || to.scheme() == "https");
        let host = match to.host() {
            Some(Host::Ipv4(ip)) => is_public(ip.into()),
            Some(Host::Ipv6(ip)) => is_public(ip.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        schemes && (self.private_too || host)
    }
}

/// Whether an address is one of the public Internet.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    let within = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation();
    // RFC 6890: this network, shared addresses of carriers, protocol assignments, benchmarks; then
    // multicast and what is reserved.
    let special = first == 0
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second))
        || first >= 224;
    !within && !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    // Global unicast (RFC 4291), but for tunnels that lead to any IPv4 address, and documentation.
    let global = (0x2000..0x4000).contains(&first);
    let tunnel = first == 0x2002 || (first == 0x2001 && second == 0);
    let documentation = first == 0x2001 && second == 0xdb8;
    global && !tunnel && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_networks_are_not_reached() {
        for good in ["93.184.216.34", "2606:4700::1111", "100.128.0.1", "198.20.0.1"] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
            "ff02::1",
            "64:ff9b::a00:1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_address_is_judged_before_and_a_name_when_it_is_looked_up() {
        let (strict, loose) = (Egress::new(false).unwrap(), Egress::new(true).unwrap());
        let may = |egress: &Egress, text: &str| egress.may_reach(&Url::parse(text).unwrap());
        assert!(may(&strict, "https://app.example/out?x=1"));
        for bad in
            ["https://10.0.0.1/", "https://[::1]/", "http://localhost/", "http://app.example/"]
        {
            assert!(!may(&strict, bad), "{bad}");
        }
        assert!(may(&loose, "http://127.0.0.1:4000/") && !may(&loose, "http://app.example/"));
        let refused = strict.post_form("https://localhost:9/", &[]).await.unwrap_err();
        assert!(refused.contains("no connection"), "{refused}");
    }
}
