//! The crate oci-client as a command, over plain HTTP: `push IMAGE FILE`, `pull IMAGE`, `tags IMAGE`, `catalog IMAGE`.
//! Credentials are in OCI_USER and OCI_PASSWORD; without them it is anonymous.

use std::{env, error::Error, fs, process::ExitCode};

use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE};
use oci_client::{secrets::RegistryAuth, Reference};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    // The crate is built without a choice of cryptography; it wants one even for plain HTTP.
    rustls::crypto::ring::default_provider().install_default().ok();
    let [verb, image, rest @ ..] = arguments else {
        return Err("usage: oci-client VERB IMAGE [FILE]".into());
    };
    let image: Reference = image.parse()?;
    let auth = match (env::var("OCI_USER"), env::var("OCI_PASSWORD")) {
        (Ok(user), Ok(password)) => RegistryAuth::Basic(user, password),
        _ => RegistryAuth::Anonymous,
    };
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..Default::default() });
    match (verb.as_str(), rest) {
        ("push", [file]) => {
            let layers = [ImageLayer::oci_v1(fs::read(file)?, None)];
            client.push(&image, &layers, Config::oci_v1(&b"{}"[..], None), &auth, None).await?;
        }
        ("pull", []) => {
            client.pull(&image, &auth, vec![IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE]).await?;
        }
        ("tags", []) => println!("{}", client.list_tags(&image, &auth, None, None).await?.tags.join("\n")),
        ("catalog", []) => {
            println!("{}", client.catalog(&image, &auth, None, None).await?.repositories.join("\n"));
        }
        _ => return Err(format!("there is no {verb} with {} arguments", rest.len()).into()),
    }
    Ok(())
}
